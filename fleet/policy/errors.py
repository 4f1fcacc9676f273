"""Whose fault an error is, and whether trying again can help."""

from dataclasses import dataclass
from enum import StrEnum


class Blame(StrEnum):
    """Who has to act for the error to go away."""

    OURS = "ours"  # a bug or a wrong configuration of the fleet
    THEIRS = "theirs"  # the caller's arguments, or the device's or program's own refusal
    NETWORK = "network"  # nothing answered, or not in time


class FleetError(Exception):
    """An error translated at the edge: it carries its blame and its retry.

    `transient` is True when the same call may succeed later without anybody changing anything.
    """

    blame: Blame = Blame.OURS
    transient: bool = False

    def __init__(
        self, message: str, *, blame: Blame | None = None, transient: bool | None = None
    ) -> None:
        super().__init__(message)
        if blame is not None:
            self.blame = blame
        if transient is not None:
            self.transient = transient


class TheirError(FleetError):
    """The other side answered, and said no."""

    blame = Blame.THEIRS


class NetworkError(FleetError):
    """Nothing answered, or not in time: worth another try."""

    blame = Blame.NETWORK
    transient = True


class ConfigurationError(FleetError):
    """The configuration is wrong; the message names the file, the key and an example."""


class RefusedError(FleetError):
    """The call was refused at the door; nothing was written."""

    blame = Blame.THEIRS


class UnknownNameError(RefusedError, ValueError):
    """An unknown task, capability, queue or site; `near` holds the closest known names."""

    def __init__(self, kind: str, name: str, near: tuple[str, ...], known: tuple[str, ...]) -> None:
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
        super().__init__(f"unknown {kind} {name!r}; {hint}")
        self.kind = kind
        self.name = name
        self.near = near


class BadArgumentsError(RefusedError, ValueError):
    """Arguments that do not fit the task's signature, or are not JSON."""


class TooLargeError(RefusedError, ValueError):
    """Arguments above the configured size."""

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"arguments are {size_bytes} bytes of JSON; the limit is {limit_bytes} bytes "
            "(max_args_bytes). Pass a path or a URL instead of the content."
        )
        self.limit_bytes = limit_bytes


class KeyConflictError(RefusedError):
    """The idempotency key was used before, for other content."""


class StorageError(FleetError):
    """The journal or ledger cannot be written (disk full, read-only, locked)."""

    transient = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRecord:
    """An error as it is stored and shown.

    `kind` is the exception's class name, `traceback` the last frames as text (may be empty).
    """

    kind: str
    message: str
    blame: Blame
    transient: bool
    traceback: str = ""
