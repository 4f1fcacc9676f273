"""Values out of reports that boxes sent: of the wanted kind, or None. Nothing is made up."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def table(value: Any) -> Mapping[str, Any]:
    """The value if it is an object of JSON, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def number(report: Mapping[str, Any], key: str) -> float | None:
    """A finite number under `key`."""
    value = report.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # JSON allows whole numbers of any length
        return None


def text(report: Mapping[str, Any], key: str) -> str | None:
    """A text that is not empty, at most 200 characters of it."""
    value = report.get(key)
    return value[:200] if isinstance(value, str) and value else None


def moment(report: Mapping[str, Any], key: str) -> datetime | None:
    """A time in UTC, written as ISO 8601 with its zone or as seconds since 1970."""
    seconds = number(report, key)
    try:
        if seconds is not None:
            return datetime.fromtimestamp(seconds, UTC)
        found = datetime.fromisoformat(text(report, key) or "")
    except (ValueError, OverflowError, OSError):
        return None
    return found.astimezone(UTC) if found.tzinfo else None
