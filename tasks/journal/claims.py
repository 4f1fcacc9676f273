"""Claims: who may run an attempt here, and how it ended. One transaction a step."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Connection,
    RowMapping,
    bindparam,
    delete,
    insert,
    literal_column,
    select,
    update,
)

from fleet.policy.effects import EffectClass
from fleet.policy.envelope import Envelope
from tasks.journal.database import JournalDatabase
from tasks.journal.entries import append
from tasks.journal.prepared import Prepared
from tasks.journal.processes import is_alive, own_process
from tasks.journal.tables import ClaimRow
from tasks.wire import EntryKind, Outcome


class ClaimStatus(StrEnum):
    RUNNING = "RUNNING"
    DONE = "DONE"
    LOST = "LOST"


class ClaimVerdict(StrEnum):
    """The answer to a claim."""

    CLAIMED = "claimed"
    DONE = "already done here"  # its stored outcome answers this newer attempt, too
    REPEATED = "done with this very token"  # its outcome is reported again
    RUNNING = "running here already"
    STALE = "token not newer"


@dataclass(frozen=True, slots=True)
class ClaimResult:
    verdict: ClaimVerdict
    reason: str = ""


_SELECT = select(ClaimRow.__table__)  # type: ignore[attr-defined]
_CLAIM = ClaimRow.__table__  # type: ignore[attr-defined]
_COLUMNS = _CLAIM.c
# Written out, since SQLite takes a partial index only for a condition that it can read.
_RUNNING = _SELECT.where(_COLUMNS.status == literal_column("'RUNNING'")).order_by(
    _COLUMNS.claimed_at
)
_HELD = Prepared(select(_COLUMNS.token).where(_COLUMNS.run_id == bindparam("run")), _CLAIM)
_INSERT = Prepared(insert(_CLAIM), _CLAIM)
_FINISH = Prepared(
    update(_CLAIM)
    .where(
        _COLUMNS.run_id == bindparam("run"),
        _COLUMNS.token == bindparam("run_token"),
        _COLUMNS.status == bindparam("running"),
    )
    .values({name: bindparam(name) for name in ("status", "ended_at", "outcome")}),
    _CLAIM,
)


class Claims:
    """The claims of one journal."""

    def __init__(self, database: JournalDatabase) -> None:
        self._database = database

    def claim(
        self, envelope: Envelope, effect: EffectClass, worker_id: str, now: datetime
    ) -> ClaimResult:
        """Ask to run an attempt; only CLAIMED allows it. Raises StorageError.

        A claim of class D is forced to the disk before it is granted: after a power cut the
        journal must still know that the task was started.
        """
        with self._database.write(durable=effect is EffectClass.D) as connection:
            held = _held(connection, envelope.id)
            if held is not None:
                refusal = _against(connection, held, envelope, effect, now)
                if refusal is not None:
                    return refusal
            _grant(connection, envelope, worker_id, now, replace=held is not None)
        return ClaimResult(ClaimVerdict.CLAIMED)

    def finish(self, envelope: Envelope, outcome: Outcome, worker_id: str, now: datetime) -> bool:
        """Close the claim and write its outcome, in one transaction; False if it was taken away.

        Raises StorageError.
        """
        stored = outcome.model_dump(mode="json")
        with self._database.write() as connection:
            closed = _FINISH.run(
                connection,
                {
                    "run": envelope.id,
                    "run_token": envelope.token,
                    "running": ClaimStatus.RUNNING.value,
                    "status": ClaimStatus.DONE.value,
                    "ended_at": now,
                    "outcome": stored,
                },
            )
            append(
                connection,
                EntryKind.FINISHED,
                now,
                run_id=envelope.id,
                token=envelope.token,
                attempt=envelope.attempt,
                home=envelope.home,
                task=envelope.task,
                worker_id=worker_id,
                payload=stored,
            )
        return bool(closed.rowcount == 1)

    def running(self) -> list[RowMapping]:
        """The claims that are being worked on, the oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(_RUNNING)
            return list(rows.mappings())

    def lose_orphans(self, now: datetime) -> list[str]:
        """Mark the claims whose process is gone as lost; returns their run ids."""
        orphans = [
            row for row in self.running() if not is_alive(row["pid"], row["process_started"])
        ]
        for row in orphans:
            with self._database.write() as connection:
                _lose(connection, row, now, f"process {row['pid']} of the worker ended in the task")
        return [row["run_id"] for row in orphans]

    def of_home(self, home: str, run_ids: list[str]) -> list[RowMapping]:
        """The claims of a home's runs."""
        with self._database.read() as connection:
            rows = connection.execute(
                _SELECT.where(_COLUMNS.home == home, _COLUMNS.run_id.in_(run_ids))
            )
            return list(rows.mappings())

    def forget_before(self, moment: datetime) -> int:
        """Delete the claims that ended before `moment`; returns how many."""
        with self._database.write() as connection:
            gone = connection.execute(delete(ClaimRow).where(_COLUMNS.ended_at < moment))
        return int(gone.rowcount)


def _held(connection: Connection, run_id: str) -> RowMapping | None:
    """The row that is there; for a run that is new here, the usual case, one cheap look."""
    if _HELD.run(connection, {"run": run_id}).fetchone() is None:
        return None
    return connection.execute(_SELECT.where(_COLUMNS.run_id == run_id)).mappings().one()


def _against(
    connection: Connection,
    held: RowMapping,
    envelope: Envelope,
    effect: EffectClass,
    now: datetime,
) -> ClaimResult | None:
    """What speaks against a claim, given the row that is there; None if nothing does.

    While an older attempt still runs here, a newer one may start beside it (the older cannot
    commit any more), unless the task is of class D.
    """
    if envelope.token < held["token"]:
        return ClaimResult(ClaimVerdict.STALE, f"token {held['token']} was claimed here already")
    if held["status"] == ClaimStatus.DONE.value and _settled(held, envelope):
        _report_again(connection, held, envelope, now)
        same = envelope.token == held["token"]
        verdict = ClaimVerdict.REPEATED if same else ClaimVerdict.DONE
        return ClaimResult(verdict, "its outcome is reported again")
    running = held["status"] == ClaimStatus.RUNNING.value
    alive = running and is_alive(held["pid"], held["process_started"])
    if envelope.token > held["token"] and not (alive and effect is EffectClass.D):
        return None
    if alive:
        return ClaimResult(ClaimVerdict.RUNNING, f"process {held['pid']} is at it")
    if running:
        _lose(connection, held, now, f"process {held['pid']} of the worker ended in the task")
    return ClaimResult(ClaimVerdict.STALE, "this attempt was lost here; its home decides")


def _settled(held: RowMapping, envelope: Envelope) -> bool:
    """A newer token after a failure asks for another try; after a success it does not."""
    succeeded = (held["outcome"] or {}).get("status") == "SUCCESSFUL"
    return succeeded or envelope.token == held["token"]


def _grant(
    connection: Connection, envelope: Envelope, worker_id: str, now: datetime, *, replace: bool
) -> None:
    pid, started = own_process()
    values: dict[str, Any] = {
        "token": envelope.token,
        "attempt": envelope.attempt,
        "home": envelope.home,
        "task": envelope.task,
        "status": ClaimStatus.RUNNING.value,
        "worker_id": worker_id,
        "pid": pid,
        "process_started": started,
        "claimed_at": now,
        "ended_at": None,
        "outcome": None,
    }
    if replace:
        connection.execute(update(ClaimRow).where(_COLUMNS.run_id == envelope.id).values(**values))
    else:
        _INSERT.run(connection, {"run_id": envelope.id, **values})
    append(
        connection,
        EntryKind.CLAIMED,
        now,
        run_id=envelope.id,
        token=envelope.token,
        attempt=envelope.attempt,
        home=envelope.home,
        task=envelope.task,
        worker_id=worker_id,
    )


def _lose(connection: Connection, row: RowMapping, now: datetime, why: str) -> None:
    lost = connection.execute(
        update(ClaimRow)
        .where(
            _COLUMNS.run_id == row["run_id"],
            _COLUMNS.token == row["token"],
            _COLUMNS.status == ClaimStatus.RUNNING.value,
        )
        .values(status=ClaimStatus.LOST.value, ended_at=now)
    )
    if lost.rowcount:
        append(
            connection,
            EntryKind.LOST,
            now,
            run_id=row["run_id"],
            token=row["token"],
            attempt=row["attempt"],
            home=row["home"],
            task=row["task"],
            worker_id=row["worker_id"],
            payload={"why": why},
        )


def _report_again(
    connection: Connection, held: RowMapping, envelope: Envelope, now: datetime
) -> None:
    """Answer this attempt, too, with the outcome that the run already has."""
    values = {
        "run_id": envelope.id,
        "token": envelope.token,
        "attempt": envelope.attempt,
        "home": envelope.home,
        "task": envelope.task,
        "worker_id": held["worker_id"],
    }
    connection.execute(
        update(ClaimRow)
        .where(_COLUMNS.run_id == envelope.id)
        .values(token=envelope.token, attempt=envelope.attempt)
    )
    append(connection, EntryKind.CLAIMED, now, **values)
    append(connection, EntryKind.FINISHED, now, **values, payload=held["outcome"])
