"""What the commands over the API share: their options, their errors, their exit codes.

Exit codes: 0 done; 1 the API refused; 2 wrong use or configuration; 3 the API cannot be reached;
4 the awaited run did not succeed; 5 it did not finish in time; 130 interrupted.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import typer

from deploy.cli.client import ApiClient, RefusedByApiError, UnreachableError, find_target
from deploy.cli.output import error_console, print_json
from fleet.policy.errors import ConfigurationError, FleetError

REFUSED, USAGE, UNREACHABLE, NOT_SUCCESSFUL, TIMED_OUT, INTERRUPTED = 1, 2, 3, 4, 5, 130
EXIT_CODES = (
    "Exit codes: 0 done, 1 refused, 2 wrong use, 3 not reachable, "
    "4 the awaited run did not succeed, 5 not finished in time, 130 interrupted."
)

_AGO = re.compile(r"^(\d+(?:\.\d+)?)([smhd])$")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@contextmanager
def calling(url: str | None, token_file: Path | None, as_json: bool) -> Iterator[ApiClient]:
    """The API for a block; errors of the block end the command with their exit code."""
    try:
        with ApiClient(find_target(url, token_file)) as client:
            yield client
    except FleetError as error:
        tell(error, as_json)
        raise typer.Exit(exit_code(error)) from error


def exit_code(error: FleetError) -> int:
    """1 to 3, as the module says."""
    if isinstance(error, UnreachableError):
        return UNREACHABLE
    return USAGE if isinstance(error, ConfigurationError) else REFUSED


def tell(error: FleetError, as_json: bool = False) -> None:
    """The message on standard error; with --json also the problem on standard output."""
    note(f"Error: {error}", style="red")
    if as_json:
        problem = error.problem if isinstance(error, RefusedByApiError) else {}
        print_json({"error": str(error), **problem})


def note(text: str, style: str | None = None) -> None:
    """A line for people, on standard error."""
    error_console().print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def usage_error(message: str, option: str) -> typer.BadParameter:
    """A mistake in an option, told in the way of all others (exit code 2)."""
    return typer.BadParameter(message, param_hint=option)


def moment(text: str, option: str) -> datetime:
    """An ISO 8601 time with its zone; raises BadParameter."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise usage_error(
            f"{text!r} is no ISO 8601 time, such as 2026-03-01T06:00:00Z", option
        ) from None
    if found.tzinfo is None:
        raise usage_error(f"{text!r} has no time zone; add one, such as Z or +01:00", option)
    return found


def past(text: str | None, option: str) -> str | None:
    """A time, or how long ago (`90s`, `15m`, `2h`, `1d`), as ISO 8601."""
    if text is None:
        return None
    ago = _AGO.match(text)
    if ago is None:
        return moment(text, option).isoformat()
    return (datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: float(ago[1])})).isoformat()


def ahead(text: str | None, option: str) -> str | None:
    """A time, or a number of seconds from now, as ISO 8601."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        return moment(text, option).isoformat()
    return from_now(seconds, option)


def from_now(seconds: float, option: str) -> str:
    """So many seconds from now, as ISO 8601."""
    if not 0 <= seconds < 1e9:
        raise usage_error("use a number of seconds, 0 or more", option)
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def age(text: str | None, now: datetime | None = None) -> str:
    """How long ago an ISO 8601 time of the API was, in one unit."""
    if not text:
        return "never"
    return span(((now or datetime.now(UTC)) - datetime.fromisoformat(text)).total_seconds())


def span(seconds: float | None) -> str:
    """A length of time in one unit; an unknown one is `-`."""
    if seconds is None:
        return "-"
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if abs(seconds) < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def words(values: Any) -> str:
    """A list as text."""
    return ", ".join(map(str, values)) or "-"
