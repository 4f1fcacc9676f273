"""What a running task may know about its run."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentRun:
    """The run that this thread executes. `key` is its idempotency key, "" for none."""

    run_id: str
    token: int
    attempt: int
    task: str
    key: str


_current: ContextVar[CurrentRun | None] = ContextVar("current_run", default=None)


def current_run() -> CurrentRun | None:
    """The run being executed, or None when the task was called as a plain function."""
    return _current.get()


def set_current_run(run: CurrentRun | None) -> None:
    """Set by the task base class around each execution."""
    _current.set(run)
