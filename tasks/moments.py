"""When a call may start and when it is over: moments in UTC that make sense together."""

from datetime import UTC, datetime, timedelta
from typing import Any

from fleet.policy.errors import BadArgumentsError

#: About thirty years; more is a mistake of units.
LONGEST_S = 1e9


def aware(moment: datetime | None, name: str) -> datetime | None:
    """The moment in UTC; raises BadArgumentsError where it has no time zone."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise BadArgumentsError(
            f"{name} {moment.isoformat()} has no time zone; add one, e.g. +00:00"
        )
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise BadArgumentsError(f"{name} {moment.isoformat()} is out of range") from None


def check_order(run_after: datetime | None, expires_at: datetime | None) -> None:
    """Raise BadArgumentsError for times between which a run could never start."""
    if expires_at is None:
        return
    if expires_at <= datetime.now(UTC):
        raise BadArgumentsError(
            f"expires_at {expires_at.isoformat()} has passed: the run could never start"
        )
    if run_after is not None and run_after >= expires_at:
        raise BadArgumentsError(
            f"run_after {run_after.isoformat()} is not before "
            f"expires_at {expires_at.isoformat()}: the run could never start"
        )


def start_option(eta: Any, countdown: Any) -> datetime | None:
    """The moment that Celery's `eta` or `countdown` (seconds from now) means."""
    if countdown is None:
        return _moment(eta, "eta")
    if eta is not None:
        raise BadArgumentsError("eta and countdown contradict each other; use one of them")
    return _from_now(countdown, "countdown")


def expiry_option(expires: Any) -> datetime | None:
    """The moment that Celery's `expires` means: a moment, or seconds from now."""
    if isinstance(expires, int | float):
        return _from_now(expires, "expires")
    return _moment(expires, "expires")


def _moment(value: Any, name: str) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise BadArgumentsError(f"{name} {value!r} is not an ISO 8601 time") from None
    if value is not None and not isinstance(value, datetime):
        raise BadArgumentsError(f"{name} {value!r} is no datetime; for example 2030-01-31T12:00Z")
    return aware(value, name)


def _from_now(seconds: Any, name: str) -> datetime:
    usable = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not (usable and abs(seconds) < LONGEST_S):
        raise BadArgumentsError(f"{name} {seconds!r} is not a number of seconds")
    if seconds < 0:
        raise BadArgumentsError(f"{name} {seconds!r} is in the past; use 0 or more seconds")
    return datetime.now(UTC) + timedelta(seconds=seconds)
