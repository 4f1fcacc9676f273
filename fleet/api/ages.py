"""How old a statement is."""

from datetime import datetime


def age_s(moment: datetime | None, now: datetime) -> float | None:
    """Seconds since `moment`, to a tenth; None when it never was."""
    return None if moment is None else round((now - moment).total_seconds(), 1)
