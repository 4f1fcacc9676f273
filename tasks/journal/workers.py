"""The workers of a box: each signs in when it is ready, the agent looks after the processes."""

from collections import Counter
from datetime import datetime

from sqlalchemy import delete, insert, select

from tasks.journal.claims import Claims
from tasks.journal.database import JournalDatabase
from tasks.journal.processes import is_alive
from tasks.journal.tables import WorkerRow
from tasks.wire import WorkerState


class Workers:
    """The sign-in sheet of one journal."""

    def __init__(self, database: JournalDatabase) -> None:
        self._database = database

    def sign_in(self, row: WorkerRow) -> None:
        """A worker is ready; a former one of the same name is replaced."""
        with self._database.write() as connection:
            connection.execute(delete(WorkerRow).where(WorkerRow.id == row.id))  # type: ignore[arg-type]
            connection.execute(insert(WorkerRow), row.model_dump())

    def states(self) -> list[WorkerState]:
        """Every worker that signed in, whether its process lives, and how busy it is."""
        busy = Counter(str(row["worker_id"]) for row in Claims(self._database).running())
        with self._database.read() as connection:
            rows = connection.execute(select(WorkerRow.__table__)).mappings().all()  # type: ignore[attr-defined]
        return [
            WorkerState(
                **{name: row[name] for name in WorkerState.model_fields if name in row},
                busy=busy[row["id"]],
                alive=is_alive(row["pid"], row["process_started"]),
            )
            for row in rows
        ]

    def sign_out_ended(self, before: datetime) -> None:
        """Forget the workers that have ended and started before `before`."""
        ended = [s.id for s in self.states() if not s.alive and s.started_at < before]
        with self._database.write() as connection:
            connection.execute(delete(WorkerRow).where(WorkerRow.id.in_(ended)))  # type: ignore[attr-defined]
