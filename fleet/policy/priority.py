"""Named priorities of the ledger. Redis never sees them: the relay publishes in this order."""

from enum import IntEnum

from fleet.policy.errors import BadArgumentsError


class Priority(IntEnum):
    """Higher is more urgent, in the range of `django.tasks` (-100 to 100)."""

    BATCH = -50
    NORMAL = 0
    HIGH = 50
    INCIDENT = 100


def parse_priority(value: int | str | None) -> int:
    """A name of `Priority` in any case, or a number from -100 to 100; None is NORMAL."""
    if value is None:
        return int(Priority.NORMAL)
    if isinstance(value, str) and value.upper() in Priority.__members__:
        return int(Priority[value.upper()])
    try:
        number = int(value)
    except (ValueError, TypeError, OverflowError):
        number = 101
    if not -100 <= number <= 100:
        names = ", ".join(name.lower() for name in Priority.__members__)
        raise BadArgumentsError(f"priority {value!r}: use {names}, or a number from -100 to 100")
    return number


def priority_name(value: int) -> str:
    """The name of a priority, or the number itself where it has none."""
    try:
        return Priority(value).name.lower()
    except ValueError:
        return str(value)
