"""The lines that wait for the control plane: store and forward."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from tasks.journal.database import JournalDatabase, set_meta
from tasks.journal.prepared import Prepared
from tasks.journal.tables import EntryRow
from tasks.wire import Entry, EntryKind

_ENTRY = EntryRow.__table__  # type: ignore[attr-defined]
_INSERT = Prepared(
    insert(_ENTRY).values({c.name: None for c in _ENTRY.c if c.name != "seq"}), _ENTRY
)


def append(connection: Connection, kind: EntryKind, at: datetime, **values: Any) -> None:
    """Add a line in the caller's transaction; it takes the next sequence number."""
    row: Mapping[str, Any] = {
        "kind": kind.value,
        "at": at,
        "run_id": "",
        "token": 0,
        "attempt": 0,
        "home": "",
        "task": "",
        "worker_id": "",
        "payload": {},
        **values,
    }
    _INSERT.run(connection, row)


class Entries:
    """Reading and acknowledging the lines."""

    def __init__(self, database: JournalDatabase) -> None:
        self._database = database

    def acked(self) -> int:
        """The sequence number up to which the control plane has everything."""
        return int(self._database.meta("acked_seq", "0"))

    def pending(self) -> int:
        """How many lines the control plane does not have yet; their numbers have no gaps."""
        with self._database.read() as connection:
            last = connection.execute(select(func.max(_ENTRY.c.seq))).scalar_one()
            return 0 if last is None else max(0, int(last) - self._acked(connection))

    def after(self, seq: int, limit: int) -> list[Entry]:
        """At most `limit` lines that follow `seq`, in order."""
        with self._database.read() as connection:
            rows = (
                connection.execute(
                    select(_ENTRY).where(_ENTRY.c.seq > seq).order_by(_ENTRY.c.seq).limit(limit)
                )
                .mappings()
                .all()
            )
        return [Entry(**row) for row in rows]

    def acknowledge(self, seq: int) -> None:
        """The control plane has everything up to `seq`: forget those lines."""
        with self._database.write() as connection:
            if seq <= self._acked(connection):
                return
            set_meta(connection, "acked_seq", str(seq))
            connection.execute(delete(EntryRow).where(_ENTRY.c.seq <= seq))

    def record_refusal(self, at: datetime, **values: Any) -> None:
        """A message was refused: a security event."""
        with self._database.write() as connection:
            append(connection, EntryKind.REFUSED, at, **values)

    @staticmethod
    def _acked(connection: Connection) -> int:
        row = connection.exec_driver_sql(
            "SELECT value FROM meta WHERE key = 'acked_seq'"
        ).scalar_one_or_none()
        return int(row or 0)
