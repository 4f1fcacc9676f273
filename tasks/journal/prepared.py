"""Statements of the worker's hot path, compiled once.

SQLAlchemy builds, caches and compiles a statement at each execution, which costs several times
what SQLite needs to run it. Here the same table definitions are compiled at import.
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
        """Execute in the caller's transaction; returns the driver's cursor result."""
        row = tuple(self._stored(name, values[name]) for name in self._names)
        return connection.exec_driver_sql(self._sql, row)

    def _stored(self, name: str, value: Any) -> Any:
        if isinstance(value, datetime):
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        if name in self._json and value is not None:
            return json.dumps(value)
        return value
