"""What happened to a site's own runs: from this box's claims, or from the control plane's mail."""

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update

from fleet.policy.contracts import TaskContract
from fleet.policy.effects import EffectClass
from fleet.policy.retry import after_failure
from fleet.policy.states import IllegalTransitionError, RunEvent, RunStatus
from tasks.home.journal_rows import move
from tasks.home.journal_store import lose_row
from tasks.journal.claims import ClaimStatus
from tasks.journal.database import JournalDatabase, set_meta
from tasks.journal.tables import ClaimRow, HomeRunRow
from tasks.wire import EntryKind, Mail, Outcome, OutcomeStatus

_RUN = HomeRunRow.__table__.c  # type: ignore[attr-defined]
_CLAIM = ClaimRow.__table__.c  # type: ignore[attr-defined]


class Settler:
    """Applies claims, outcomes, losses and wishes to the runs of the home `name`."""

    def __init__(self, database: JournalDatabase, name: str, site: str) -> None:
        self._database = database
        self._name = name
        self._site = site

    def settle_own_claims(self, now: datetime) -> int:
        """Take over what this box's workers did with this home's runs; returns how many."""
        if not self._has_open_runs():
            return 0
        with self._database.write() as connection:
            pairs = connection.execute(
                select(HomeRunRow.__table__, ClaimRow.__table__)  # type: ignore[attr-defined]
                .join(ClaimRow, (_CLAIM.run_id == _RUN.run_id) & (_CLAIM.token == _RUN.token))
                .where(_RUN.open_attempt.is_(True), _CLAIM.home == self._name)
            ).all()
            for pair in pairs:
                row = {c.name: pair[i] for i, c in enumerate(_RUN)}
                claim = {c.name: pair[len(_RUN) + i] for i, c in enumerate(_CLAIM)}
                self._settle(connection, row, claim, now)
        return len(pairs)

    def _has_open_runs(self) -> bool:
        """A look without the write lock, which the workers need."""
        with self._database.read() as connection:
            found = connection.execute(
                select(_RUN.run_id).where(_RUN.open_attempt.is_(True)).limit(1)
            )
            return found.first() is not None

    def _settle(
        self, connection: Connection, row: dict[str, Any], claim: dict[str, Any], now: datetime
    ) -> None:
        self._claimed(connection, row, claim["worker_id"], self._site, claim["claimed_at"])
        status = ClaimStatus(claim["status"])
        if status is ClaimStatus.DONE:
            self._finished(connection, row["run_id"], claim["outcome"], claim["worker_id"], now)
        elif status is ClaimStatus.LOST:
            self._lost(connection, row["run_id"], "its worker process ended in the task", now)

    def take_mail(self, mail: list[Mail], now: datetime) -> None:
        """Apply what the control plane passes on, once each, in order."""
        with self._database.write() as connection:
            for item in mail:
                self._take_one(connection, item, now)
                set_meta(connection, "mail_ack", str(item.id))

    def _take_one(self, connection: Connection, item: Mail, now: datetime) -> None:
        payload = item.payload
        if item.kind == "running":
            self._seen(connection, payload["tokens"], now)
            return
        row = _run(connection, str(payload.get("run_id")))
        if row is None:
            return
        if item.kind in ("cancel", "retry"):
            self._wish(connection, row, item, now)
        elif row["token"] != payload.get("token"):
            return
        elif item.kind == EntryKind.CLAIMED:
            self._claimed(connection, row, payload["worker_id"], payload["site"], now)
        elif item.kind == EntryKind.FINISHED:
            self._finished(connection, row["run_id"], payload["payload"], payload["worker_id"], now)
        elif item.kind == EntryKind.LOST:
            self._lost(connection, row["run_id"], str(payload["payload"].get("why")), now)

    def _seen(self, connection: Connection, tokens: list[int], now: datetime) -> None:
        """Another site works on these: their leases go on."""
        connection.execute(update(HomeRunRow).where(_RUN.token.in_(tokens)).values(seen_at=now))

    def _wish(self, connection: Connection, row: RowMapping, item: Mail, now: datetime) -> None:
        event = RunEvent.CANCEL if item.kind == "cancel" else RunEvent.RETRY
        extra = {"max_attempts": row["attempts"] + 1} if event is RunEvent.RETRY else {}
        try:
            move(
                connection,
                row,
                event,
                now,
                str(item.payload.get("why", "")),
                str(item.payload.get("who", "operator")),
                **extra,
            )
        except IllegalTransitionError:
            return  # it has finished in the meantime; its mirror says so

    def _claimed(
        self,
        connection: Connection,
        row: Mapping[Any, Any],
        worker_id: str,
        site: str,
        at: datetime,
    ) -> None:
        if row["status"] == RunStatus.READY and row["open_attempt"]:
            move(
                connection,
                row,
                RunEvent.CLAIM,
                at,
                f"attempt {row['attempts']} claimed at {site}",
                worker_id,
                started_at=at,
                seen_at=at,
                worker_id=worker_id,
                worker_site=site,
            )

    def _finished(
        self,
        connection: Connection,
        run_id: str,
        stored: dict[str, Any],
        worker: str,
        now: datetime,
    ) -> None:
        row, outcome = _run(connection, run_id), Outcome(**stored)
        if row is None or row["status"] != RunStatus.RUNNING:
            return
        if outcome.status is OutcomeStatus.SUCCESSFUL:
            move(
                connection,
                row,
                RunEvent.SUCCEED,
                now,
                f"attempt {row['attempts']} returned",
                worker,
                return_value=outcome.return_value,
                result_meta=outcome.result_meta,
                error=None,
            )
            return
        _fail(connection, row, outcome, worker, now)

    def _lost(self, connection: Connection, run_id: str, why: str, now: datetime) -> None:
        row = _run(connection, run_id)
        if row is not None and row["status"] == RunStatus.RUNNING:
            lose_row(connection, row, why, now, self._name)


def _fail(
    connection: Connection, row: RowMapping, outcome: Outcome, worker: str, now: datetime
) -> None:
    error = outcome.error or {}
    decision = after_failure(
        _contract(row),
        row["attempts"],
        transient=bool(error.get("transient")),
        jitter=random.random(),  # noqa: S311
        asked_delay_s=outcome.asked_delay_s,
    )
    later = decision.event is RunEvent.RETRY_LATER
    changes = {"run_after": now + timedelta(seconds=decision.delay_s)} if later else {}
    why = f"{error.get('kind', 'error')}: {error.get('message', '')}"[:150]
    move(
        connection,
        row,
        decision.event,
        now,
        f"{why}; {decision.reason}",
        worker,
        error=error,
        **changes,
    )


def _contract(row: RowMapping) -> TaskContract:
    from tasks.app import app

    known: TaskContract | None = getattr(app.tasks.get(row["task"]), "contract", None)
    base = known or TaskContract(name=row["task"], capability=row["capability"])
    return replace(base, effect=EffectClass(row["effect"]), max_attempts=row["max_attempts"])


def _run(connection: Connection, run_id: str) -> RowMapping | None:
    return (
        connection.execute(
            select(HomeRunRow.__table__).where(_RUN.run_id == run_id)  # type: ignore[attr-defined]
        )
        .mappings()
        .first()
    )
