"""Inserting rows of the ledger with one prepared statement.

Django's `save` and `bulk_create` prepare every field of every row through several layers, which
costs ten times what the database needs for the row. The columns and their conversion are the
model's own here, worked out once for each model and database.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from django.db import connection, models

Converter = Callable[[Any], Any]


def insert_rows(rows: Sequence[models.Model]) -> None:
    """Insert new rows of one model, in the caller's transaction.

    Values must have the field's own Python type already; database-made keys stay unset.
    """
    if not rows:
        return
    sql, columns = _statement(type(rows[0]), connection.vendor)
    parameters = [tuple(convert(getattr(row, name)) for name, convert in columns) for row in rows]
    with connection.cursor() as cursor:
        cursor.executemany(sql, parameters)


@lru_cache(maxsize=32)
def _statement(model: type[models.Model], vendor: str) -> tuple[str, list[tuple[str, Converter]]]:
    """The INSERT and, for each of its columns, the attribute and its conversion."""
    fields = [f for f in model._meta.concrete_fields if not isinstance(f, models.AutoField)]
    quote = connection.ops.quote_name
    names = ", ".join(quote(str(f.column)) for f in fields)
    places = ", ".join(["%s"] * len(fields))
    sql = f"INSERT INTO {quote(model._meta.db_table)} ({names}) VALUES ({places})"  # noqa: S608
    return sql, [(f.attname, _converter(f)) for f in fields]


def _converter(field: models.Field[Any, Any]) -> Converter:
    """What turns a Python value into one that the database's driver takes."""
    target = field.target_field if isinstance(field, models.ForeignKey) else field
    if isinstance(target, models.JSONField):
        return lambda v: None if v is None else connection.ops.adapt_json_value(v, target.encoder)
    if isinstance(target, models.DateTimeField):
        return lambda v: None if v is None else connection.ops.adapt_datetimefield_value(v)
    if isinstance(target, models.UUIDField) and not connection.features.has_native_uuid_field:
        return lambda v: None if v is None else v.hex
    return _as_it_is


def _as_it_is(value: Any) -> Any:
    return value
