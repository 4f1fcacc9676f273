"""Opening the journal's SQLite file: WAL, one connection a process, durability by need."""

import contextlib
import os
import sqlite3
import threading
import time
import uuid
import weakref
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.schema import CreateIndex
from sqlmodel import SQLModel, insert, select

from fleet.policy.errors import StorageError
from tasks.journal import tables
from tasks.journal.prepared import run_sql
from tasks.journal.tables import MetaRow

#: Waiting for another writer of the same file.
LOCK_TIMEOUT_S = 10.0
FIRST_LOCK_PAUSE_S = 0.0001
LONGEST_LOCK_PAUSE_S = 0.005


class JournalDatabase:
    """The journal of a box in `folder`. Safe to use after a fork and from several threads.

    Every write is one IMMEDIATE transaction. `durable=True` forces it to the disk before it
    returns; without it a power cut (not a killed process) may undo the last moments.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.sqlite3"
        self._engine: Engine | None = None
        self._pid = 0
        self._gate = threading.RLock()
        _open_here.add(self)

    def engine(self) -> Engine:
        """This process's engine; made anew after a fork."""
        if self._engine is None or self._pid != os.getpid():
            self._engine = _open(self.path)
            self._pid = os.getpid()
        return self._engine

    @contextlib.contextmanager
    def write(self, *, durable: bool = False) -> Iterator[Connection]:
        """One write transaction; rolled back on any error. Raises StorageError."""
        with self._gate, _translated(self.path), self.engine().connect() as connection:
            _set(connection, "synchronous", "FULL" if durable else "NORMAL")
            _set(connection, "busy_timeout", "0")
            _begin(connection)
            try:
                yield connection
                run_sql(connection, "COMMIT")
            except BaseException:
                # SQLite rolls back by itself when the disk is full, and then refuses to.
                with contextlib.suppress(DatabaseError, sqlite3.DatabaseError):
                    run_sql(connection, "ROLLBACK")
                raise

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading."""
        with self._gate, _translated(self.path), self.engine().connect() as connection:
            _set(connection, "busy_timeout", f"{LOCK_TIMEOUT_S * 1000:.0f}")
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

    def before_fork(self) -> None:
        """Wait for what this process is at, close, and open nothing until `after_fork`.

        SQLite keeps its locks in the process's memory: a child that inherits an open file
        believes that it holds them, and its journal may be taken away under its feet.
        """
        self._gate.acquire()
        self.close()

    def after_fork(self) -> None:
        """In parent and child: each opens its own connection when it needs one."""
        self._gate.release()


_open_here: "weakref.WeakSet[JournalDatabase]" = weakref.WeakSet()
_forking: list[JournalDatabase] = []


def _before_fork() -> None:
    _forking.extend(_open_here)
    for database in _forking:
        database.before_fork()


def _after_fork() -> None:
    for database in _forking:
        database.after_fork()
    _forking.clear()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


def _set(connection: Connection, pragma: str, value: str) -> None:
    if connection.info.get(pragma) != value:
        connection.exec_driver_sql(f"PRAGMA {pragma}={value}")
        connection.info[pragma] = value


def _begin(connection: Connection) -> None:
    """Take the write lock. SQLite's own waiting sleeps for whole milliseconds, many times what
    another writer of the journal needs; this looks again sooner."""
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    pause_s = FIRST_LOCK_PAUSE_S
    while True:
        try:
            run_sql(connection, "BEGIN IMMEDIATE")
        except (OperationalError, sqlite3.OperationalError) as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_LOCK_PAUSE_S)
        else:
            return


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
    except (DatabaseError, sqlite3.DatabaseError) as error:
        raise StorageError(f"journal {path}: {getattr(error, 'orig', error)}") from error
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
        # `create_all` leaves a table alone that an older version made without them.
        for index in (i for table in names for i in table.indexes):
            connection.execute(CreateIndex(index, if_not_exists=True))
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
