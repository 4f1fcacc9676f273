"""Statements of the worker's hot path, compiled once and given to the driver.

SQLAlchemy builds, caches and compiles a statement at each execution and wraps its result, which
costs several times what SQLite needs to run it. Here the same table definitions are compiled at
import.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, ClauseElement, Connection, Table
from sqlalchemy.dialects import sqlite


class Prepared:
    """A compiled INSERT, UPDATE or SELECT on `table`; `run` takes its parameters by name.

    Parameters that are not columns (of a WHERE) must be plain numbers or texts.
    """

    def __init__(self, statement: ClauseElement, table: Table) -> None:
        compiled: Any = statement.compile(dialect=sqlite.dialect())
        self._sql = compiled.string
        self._names: list[str] = list(compiled.positiontup)
        self._json = {c.name for c in table.columns if isinstance(c.type, JSON)}

    def run(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """Execute in the caller's transaction; returns a cursor (`fetchone`, `rowcount`)."""
        row = tuple(self._stored(name, values[name]) for name in self._names)
        return run_sql(connection, self._sql, row)

    def _stored(self, name: str, value: Any) -> Any:
        if isinstance(value, datetime):
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        if name in self._json and value is not None:
            return json.dumps(value)
        return value


def run_sql(connection: Connection, sql: str, row: tuple[Any, ...] = ()) -> Any:
    """Execute one statement; returns a cursor. Raises what the driver raises: `sqlite3.Error`.

    Whoever listens to the engine's statements still hears of each: they then take the long way.
    """
    if connection.engine.dispatch.before_cursor_execute:
        return connection.exec_driver_sql(sql, row)
    driver: Any = connection.connection.driver_connection
    return driver.execute(sql, row)
