"""Accepting tasks on a LAN box, without Django: into the site's journal."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from celery import Celery
from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError

from fleet.policy.errors import KeyConflictError, RefusedError, StorageError
from fleet.policy.states import RunEvent, RunStatus
from tasks.box import Box, own_box
from tasks.call import Call
from tasks.handle import RunHandle, Snapshot
from tasks.home.journal_rows import mirror, move
from tasks.journal.tables import EntryRow, HomeRunRow
from tasks.revoke import stop_on_workers

#: Lines that may wait for the control plane before new work is refused.
MAX_PENDING = 50_000
_RUN = HomeRunRow.__table__.c  # type: ignore[attr-defined]


def journal_acceptor(app: Celery) -> "JournalAcceptor | None":
    """The acceptor of this LAN box, or None where the box has no signing key of a home."""
    box = own_box()
    return None if box.settings.signing is None else JournalAcceptor(app, box)


class JournalAcceptor:
    """The site is the home of what is accepted here: no broker, no control plane is needed."""

    def __init__(self, app: Celery, box: Box, by: str = "program") -> None:
        self._app = app
        self._box = box
        self._by = f"{by} on {box.settings.box}@{box.settings.site}"

    def accept(self, call: Call) -> RunHandle:
        """Force the run to the disk; raises StorageError or KeyConflictError."""
        return self.accept_many([call])[0]

    def accept_many(self, calls: Sequence[Call]) -> list[RunHandle]:
        """Write all runs in one transaction, or none."""
        now, reader, handles = datetime.now(UTC), JournalReader(self._app, self._box), []
        with self._box.database.write(durable=True) as connection:
            _refuse_when_full(connection)
            for call in calls:
                earlier = _earlier(connection, call)
                if earlier is None:
                    _insert(connection, call, self._by, now)
                handles.append(
                    RunHandle(
                        earlier or str(call.id),
                        app=self._app,
                        reader=reader,
                        created=earlier is None,
                    )
                )
        self._box.ring_agent()
        return handles

    def reader(self) -> "JournalReader":
        return JournalReader(self._app, self._box)


class JournalReader:
    """Answers a handle's questions from the journal."""

    def __init__(self, app: Celery, box: Box) -> None:
        self._app = app
        self._box = box

    def snapshot(self, run_id: str) -> Snapshot:
        with self._box.database.read() as connection:
            row = (
                connection.execute(
                    select(HomeRunRow.__table__).where(_RUN.run_id == run_id)  # type: ignore[attr-defined]
                )
                .mappings()
                .one()
            )
        return Snapshot(
            status=RunStatus(row["status"]),
            reason=row["reason"],
            return_value=row["return_value"],
            result_meta=row["result_meta"],
            error=row["error"],
        )

    def before_wait(self) -> None:
        """The agent works in another process: waiting is always possible."""

    def cancel(self, run_id: str) -> None:
        with self._box.database.write() as connection:
            row = (
                connection.execute(
                    select(HomeRunRow.__table__).where(_RUN.run_id == run_id)  # type: ignore[attr-defined]
                )
                .mappings()
                .one()
            )
            move(
                connection,
                row,
                RunEvent.CANCEL,
                datetime.now(UTC),
                "cancelled by program",
                "program",
            )
        if row["open_attempt"]:
            stop_on_workers(self._app, row["token"])
        self._box.ring_agent()


def _refuse_when_full(connection: Connection) -> None:
    pending = connection.execute(select(func.count()).select_from(EntryRow)).scalar_one()
    if pending >= MAX_PENDING:
        raise StorageError(
            f"the journal holds {pending} lines that the control plane has not taken; "
            "new work is refused until it has"
        )


def _earlier(connection: Connection, call: Call) -> str | None:
    if call.key is None:
        return None
    row = connection.execute(
        select(_RUN.run_id, _RUN.content_digest).where(_RUN.idempotency_key == call.key)
    ).first()
    if row is None:
        return None
    if row.content_digest != call.digest():
        raise KeyConflictError(
            f"idempotency_key {call.key!r} was used for run {row.run_id} with other content; "
            "use a new key"
        )
    return str(row.run_id)


def _insert(connection: Connection, call: Call, by: str, now: datetime) -> None:
    try:
        connection.execute(insert(HomeRunRow), _row(call, by, now))
    except IntegrityError as error:
        raise RefusedError("there is a run with this task_id already; leave task_id out") from error
    except OverflowError as error:
        raise RefusedError(f"a number in the call is too large: {error}") from error
    mirror(
        connection,
        str(call.id),
        now,
        {
            "event": "enqueue",
            "from_status": "",
            "to_status": RunStatus.READY.value,
            "why": "accepted",
            "who": by,
            "at": now.isoformat(),
        },
    )


def _row(call: Call, by: str, now: datetime) -> dict[str, Any]:
    """The call as a row of the journal; what is not set has the table's default."""
    return HomeRunRow(
        run_id=str(call.id),
        task=call.contract.name,
        args=call.args,
        kwargs=call.kwargs,
        capability=call.contract.capability,
        site=call.site,
        queue_name=call.queue,
        priority=call.priority,
        effect=call.contract.effect.value,
        max_attempts=call.contract.max_attempts,
        status=RunStatus.READY.value,
        idempotency_key=call.key,
        content_digest=call.digest(),
        enqueued_by=by,
        group_id=call.group_id,
        run_after=call.run_after,
        expires_at=call.expires_at,
        enqueued_at=now,
    ).model_dump()
