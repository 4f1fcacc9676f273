"""Accepting tasks on a LAN box, without Django: into the site's journal."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from celery import Celery
from sqlalchemy import Connection, RowMapping, func, insert, select
from sqlalchemy.exc import IntegrityError

from fleet.policy.errors import KeyConflictError, RefusedError, StorageError
from fleet.policy.states import RunEvent, RunStatus
from tasks.box import Box, own_box
from tasks.call import Call
from tasks.handle import RunHandle, Snapshot
from tasks.home.journal_rows import mirror, move
from tasks.journal.tables import EntryRow, HomeRunRow
from tasks.revoke import stop_on_workers
from tasks.settings import FleetSettings
from tasks.signing import load_private_key

#: Lines that may wait for the control plane before new work is refused.
MAX_PENDING = 50_000
_RUN = HomeRunRow.__table__.c  # type: ignore[attr-defined]


def journal_acceptor(app: Celery) -> "JournalAcceptor":
    """The acceptor of this LAN box; raises RefusedError where the box is no home.

    Runs that a box without its own home's key accepted would be relayed by nobody.
    """
    box = own_box()
    wrong = _no_home(box.settings)
    if wrong:
        raise RefusedError(
            f"this process has no home to accept tasks: {wrong}. On a LAN box give the site a "
            "[signing] key and its public key in [homes.<site>]. On the control plane's box call "
            "django.setup() first, with DJANGO_SETTINGS_MODULE=turtle_site.settings, or use "
            "`python manage.py shell`. Anywhere else use the HTTP API"
        )
    return JournalAcceptor(app, box)


def _no_home(settings: FleetSettings) -> str:
    """Why nobody would relay what this box accepts; "" where its agent does."""
    site, home = settings.site, settings.homes.get(settings.site)
    if home is None:
        return f"turtle.toml has no [homes.{site}], so that {site} is no home"
    if settings.signing is None:
        return "turtle.toml has no [signing] key"
    path = settings.signing.private_key_file
    own = base64.b64encode(load_private_key(path).public_key().public_bytes_raw()).decode()
    return "" if own == home.public_key else f"{path} is not the key of [homes.{site}]"


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
            row = self._row(connection, run_id)
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
            row = self._row(connection, run_id)
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

    def _row(self, connection: Connection, run_id: str) -> RowMapping:
        wanted = select(HomeRunRow.__table__).where(_RUN.run_id == run_id)  # type: ignore[attr-defined]
        row = connection.execute(wanted).mappings().one_or_none()
        if row is None:
            raise RefusedError(
                f"the journal of {self._box.settings.site} has no run {run_id!r}; ask where it "
                "was enqueued"
            )
        return row


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
