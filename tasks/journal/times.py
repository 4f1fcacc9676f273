"""UTC times in SQLite, which has no time type of its own."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import String, TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes, stored as ISO 8601 in UTC with microseconds: the text sorts by time."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> str | None:
        if value is None:
            return None
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, dialect: Any) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)
