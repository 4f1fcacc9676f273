"""Opening the journal's SQLite file: WAL, one connection a process, durability by need."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError
from sqlmodel import SQLModel, insert, select

from fleet.policy.errors import StorageError
from tasks.journal import tables
from tasks.journal.tables import MetaRow

#: Waiting for another writer of the same file.
LOCK_TIMEOUT_S = 10.0


class JournalDatabase:
    """The journal of a box in `folder`. Safe to use after a fork and from several threads.

    Every write is one IMMEDIATE transaction. `durable=True` forces it to the disk before it
    returns; without it a power cut (not a killed process) may undo the last moments.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.sqlite3"
        self._engine: Engine | None = None
        self._pid = 0

    def engine(self) -> Engine:
        """This process's engine; made anew after a fork."""
        if self._engine is None or self._pid != os.getpid():
            self._engine = _open(self.path)
            self._pid = os.getpid()
        return self._engine

    @contextlib.contextmanager
    def write(self, *, durable: bool = False) -> Iterator[Connection]:
        """One write transaction; rolled back on any error. Raises StorageError."""
        with _translated(self.path), self.engine().connect() as connection:
            level = "FULL" if durable else "NORMAL"
            connection.exec_driver_sql(f"PRAGMA synchronous={level}")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                # SQLite rolls back by itself when the disk is full, and then refuses to.
                with contextlib.suppress(DatabaseError):
                    connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading."""
        with _translated(self.path), self.engine().connect() as connection:
            yield connection

    def meta(self, key: str, default: str = "") -> str:
        """A single stored value."""
        with self.read() as connection:
            value = connection.execute(
                select(MetaRow.value).where(MetaRow.key == key)
            ).scalar_one_or_none()
        return default if value is None else str(value)

    def journal_id(self) -> uuid.UUID:
        """The id that this file got when it was made."""
        return uuid.UUID(self.meta("journal_id"))

    def probe(self) -> None:
        """Write one value durably, to find out whether the journal can be written."""
        with self.write(durable=True) as connection:
            set_meta(connection, "probed", str(os.getpid()))

    def close(self) -> None:
        """Close this process's connections."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


def set_meta(connection: Connection, key: str, value: str) -> None:
    """Store a single value, in the caller's transaction."""
    connection.execute(
        text(
            "INSERT INTO meta (key, value) VALUES (:k, :v) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        ),
        {"k": key, "v": value},
    )


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        raise StorageError(f"journal {path}: {error.orig}") from error
    except OSError as error:
        raise StorageError(f"journal {path}: {error.strerror or error}") from error


def _open(path: Path) -> Engine:
    path.parent.mkdir(parents=True, exist_ok=True)
    # SQLite gives its -wal and -shm files the mode of this one.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": LOCK_TIMEOUT_S, "check_same_thread": False},
        isolation_level="AUTOCOMMIT",
    )
    event.listen(engine, "connect", _prepare)
    names = [getattr(t, "__table__") for t in _tables()]  # noqa: B009
    SQLModel.metadata.create_all(engine, tables=names)
    with engine.connect() as connection:
        connection.execute(
            insert(MetaRow).prefix_with("OR IGNORE"),
            {"key": "journal_id", "value": str(uuid.uuid4())},
        )
    return engine


def _tables() -> tuple[type[SQLModel], ...]:
    return (tables.MetaRow, tables.EntryRow, tables.ClaimRow, tables.WorkerRow, tables.HomeRunRow)


def _prepare(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()
