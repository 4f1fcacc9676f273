"""A site's journal as a home's store: runs that programs on LAN boxes enqueued."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, not_, or_, select, update

from fleet.policy.dispatch import Supply
from fleet.policy.effects import AfterLoss, EffectClass, after_lost_attempt
from fleet.policy.routing import split_queue
from fleet.policy.states import ATTEMPT_AFTER, AttemptStatus, RunEvent, RunStatus
from fleet.policy.tokens import make_token
from tasks.home.journal_rows import move
from tasks.home.store import Dispatch, DueRun, Group, OpenAttempt
from tasks.journal.database import JournalDatabase, set_meta
from tasks.journal.prepared import run_sql
from tasks.journal.tables import HomeRunRow

_ROW = HomeRunRow.__table__.c  # type: ignore[attr-defined]
_SELECT = select(HomeRunRow.__table__)  # type: ignore[attr-defined]
# Each half has a partial index.
_ANY_LIVE = (
    "SELECT 1 FROM home_run WHERE open_attempt = 1 "
    "UNION ALL SELECT 1 FROM home_run WHERE status = 'READY' AND open_attempt = 0 LIMIT 1"
)


class JournalStore:
    """Implements `tasks.home.store.HomeStore` for the site `name` with the number `number`.

    `supply` gives the live workers that this box knows of: its own site's.
    """

    def __init__(
        self,
        database: JournalDatabase,
        name: str,
        number: int,
        supply: Callable[[], list[Supply]],
    ) -> None:
        self._database = database
        self.name = name
        self._number = number
        self._supply = supply

    def is_idle(self) -> bool:
        """Whether no run waits or is under way: then a home has nothing to look at."""
        with self._database.read() as connection:
            return run_sql(connection, _ANY_LIVE).fetchone() is None

    def expire_due(self, now: datetime) -> int:
        overdue = _SELECT.where(_ROW.status == RunStatus.READY.value, _ROW.expires_at <= now)
        with self._database.read() as connection:
            if connection.execute(overdue.limit(1)).first() is None:
                return 0
        with self._database.write() as connection:
            rows = connection.execute(overdue).mappings().all()
            for row in rows:
                move(
                    connection,
                    row,
                    RunEvent.EXPIRE,
                    now,
                    "expired before a worker took it",
                    self.name,
                )
        return len(rows)

    def due(self, now: datetime, limit: int, without: Collection[Group]) -> list[DueRun]:
        ready = _SELECT.where(
            _ROW.status == RunStatus.READY.value,
            _ROW.open_attempt.is_(False),
            or_(_ROW.run_after.is_(None), _ROW.run_after <= now),
            or_(_ROW.expires_at.is_(None), _ROW.expires_at > now),
            *self._eligible(),
            *(
                not_(and_(_ROW.capability == c, _ROW.site == s, _ROW.effect == e.value))
                for c, s, e in without
            ),
        )
        with self._database.read() as connection:
            rows = (
                connection.execute(
                    ready.order_by(_ROW.priority.desc(), _ROW.enqueued_at).limit(limit)
                )
                .mappings()
                .all()
            )
        return [
            DueRun(
                run_id=row["run_id"],
                capability=row["capability"],
                site=row["site"],
                effect=EffectClass(row["effect"]),
                last_site=_unclaimed_site(row),
            )
            for row in rows
        ]

    def _eligible(self) -> Sequence[ColumnElement[bool]]:
        """What else a run must fulfil to be published from here."""
        return ()

    def supply(self, now: datetime) -> list[Supply]:
        return self._supply()

    def open_attempts(self, chosen: Sequence[tuple[str, str]], now: datetime) -> list[Dispatch]:
        opened = []
        with self._database.write(durable=True) as connection:
            for run_id, queue in chosen:
                row = _one(connection, run_id)
                if row is not None and row["status"] == RunStatus.READY and not row["open_attempt"]:
                    opened.append(self._open(connection, row, queue, now))
        return opened

    def _open(self, connection: Connection, row: RowMapping, queue: str, now: datetime) -> Dispatch:
        token = make_token(_next_counter(connection), self._number)
        values = {
            "token": token,
            "attempts": row["attempts"] + 1,
            "open_attempt": True,
            "last_attempted_at": now,
            "attempt_queue": queue,
            "published_at": None,
            "times_published": 0,
            "worker_site": "",
            "seen_at": None,
            "attempt_status": AttemptStatus.CREATED.value,
            "reason": "",
        }
        connection.execute(update(HomeRunRow).where(_ROW.run_id == row["run_id"]).values(**values))
        return _dispatch({**row, **values})

    def mark_published(self, tokens: Sequence[int], now: datetime) -> None:
        with self._database.write() as connection:
            for token in tokens:
                same = update(HomeRunRow).where(_ROW.token == token)
                connection.execute(
                    same.values(published_at=now, times_published=_ROW.times_published + 1)
                )
                connection.execute(
                    same.where(_ROW.attempt_status == AttemptStatus.CREATED.value).values(
                        attempt_status=AttemptStatus.PUBLISHED.value
                    )
                )

    def under_way(self) -> list[OpenAttempt]:
        with self._database.read() as connection:
            rows = connection.execute(_SELECT.where(_ROW.open_attempt.is_(True))).mappings().all()
        return [
            OpenAttempt(
                run_id=r["run_id"],
                token=r["token"],
                queue=r["attempt_queue"],
                status=AttemptStatus(r["attempt_status"]),
                created_at=r["last_attempted_at"],
                published_at=r["published_at"],
                times_published=r["times_published"],
                seen_at=r["seen_at"] or r["started_at"],
            )
            for r in rows
        ]

    def dispatches(self, tokens: Sequence[int]) -> list[Dispatch]:
        waiting = (AttemptStatus.CREATED.value, AttemptStatus.PUBLISHED.value)
        with self._database.read() as connection:
            rows = (
                connection.execute(
                    _SELECT.where(
                        _ROW.token.in_(tokens),
                        _ROW.open_attempt.is_(True),
                        _ROW.attempt_status.in_(waiting),
                    )
                )
                .mappings()
                .all()
            )
        return [_dispatch(row) for row in rows]

    def see_running(self, claims: Sequence[Mapping[Any, Any]], now: datetime) -> None:
        """This box's own claims renew the leases of this home's runs."""
        tokens = [c["token"] for c in claims if c["home"] == self.name]
        if tokens:
            with self._database.write() as connection:
                connection.execute(
                    update(HomeRunRow).where(_ROW.token.in_(tokens)).values(seen_at=now)
                )

    def lose(self, token: int, why: str, now: datetime) -> None:
        with self._database.write() as connection:
            row = connection.execute(_SELECT.where(_ROW.token == token)).mappings().first()
            if row is not None and row["status"] == RunStatus.RUNNING:
                lose_row(connection, row, why, now, self.name)


def lose_row(connection: Connection, row: RowMapping, why: str, now: datetime, who: str) -> None:
    """A run whose worker was lost: another attempt, or a person, by its effect class."""
    decision = after_lost_attempt(EffectClass(row["effect"]), row["attempts"], row["max_attempts"])
    event = RunEvent.LOSE if decision.action is AfterLoss.NEXT_ATTEMPT else RunEvent.BURY
    move(
        connection,
        row,
        event,
        now,
        f"{why}; {decision.reason}",
        who,
        attempt_status=ATTEMPT_AFTER[event].value,
    )


def _unclaimed_site(row: RowMapping) -> str:
    """Where a class D run was published before and may still lie: nowhere else may it start."""
    unclaimed = row["effect"] == EffectClass.D.value and row["token"] and not row["worker_site"]
    return split_queue(row["attempt_queue"])[1] or "" if unclaimed else ""


def _one(connection: Connection, run_id: str) -> RowMapping | None:
    return connection.execute(_SELECT.where(_ROW.run_id == run_id)).mappings().first()


def _next_counter(connection: Connection) -> int:
    held = connection.exec_driver_sql(
        "SELECT value FROM meta WHERE key = 'token_counter'"
    ).scalar_one_or_none()
    counter = int(held or 0) + 1
    set_meta(connection, "token_counter", str(counter))
    return counter


def _dispatch(row: Mapping[Any, Any]) -> Dispatch:
    return Dispatch(
        run_id=row["run_id"],
        task=row["task"],
        args=row["args"],
        kwargs=row["kwargs"],
        queue=row["attempt_queue"],
        token=row["token"],
        attempt=row["attempts"],
        key=row["idempotency_key"] or "",
        expires_at=row["expires_at"],
        group_id=row["group_id"],
    )
