"""What a caller gets back: the run's id, its status, and its result when there is one."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from celery import states
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import AsyncResult

from fleet.policy.errors import FleetError, RefusedError
from fleet.policy.states import FINISHED, RunStatus

FIRST_POLL_S = 0.005
LONGEST_POLL_S = 0.25
#: The fleet's states in Celery's words, for code that knows only those.
CELERY_STATES = {
    RunStatus.READY: states.PENDING,
    RunStatus.RUNNING: states.STARTED,
    RunStatus.SUCCESSFUL: states.SUCCESS,
    RunStatus.FAILED: states.FAILURE,
    RunStatus.CANCELLED: states.REVOKED,
    RunStatus.DEAD: states.FAILURE,
}


class RunFailedError(FleetError):
    """The run ended without a result; `status` says how, the message why."""

    def __init__(self, status: RunStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A run as its home stores it now."""

    status: RunStatus
    reason: str
    return_value: Any
    result_meta: dict[str, Any] | None
    error: dict[str, Any] | None

    def value(self) -> Any:
        """What the task returned; of a result that was kept at its site the description."""
        return self.result_meta or self.return_value

    def failure(self) -> RunFailedError:
        """Why there is no result."""
        return RunFailedError(self.status, _why(self))

    def celery_meta(self) -> dict[str, Any]:
        """The same as a result backend of Celery would tell it."""
        finished = self.status in FINISHED
        ended = self.value() if self.status is RunStatus.SUCCESSFUL else self.failure()
        return {
            "status": CELERY_STATES[self.status],
            "result": ended if finished else None,
            "traceback": (self.error or {}).get("traceback") or None,
            "children": [],
        }


class HomeReader(Protocol):
    """Where a handle asks: the ledger or the journal."""

    def snapshot(self, run_id: str) -> Snapshot: ...
    def cancel(self, run_id: str) -> None: ...
    def before_wait(self) -> None:
        """Raise RefusedError where waiting could never end."""


class RunHandle(AsyncResult):  # type: ignore[misc]
    """A Celery result whose truth is the home, not a result backend.

    `created` is False when the idempotency key had been seen before: it is that run's handle.
    """

    def __init__(
        self,
        id: str,  # noqa: A002 - Celery's own name
        backend: Any = None,
        task_name: str | None = None,
        app: Any = None,
        parent: Any = None,
        *,
        reader: HomeReader | None = None,
        created: bool = True,
    ) -> None:
        super().__init__(id, backend, task_name, app, parent)
        self._given_reader = reader
        self.created = created

    @property
    def _reader(self) -> HomeReader:
        """The home of this process, unless another one was given."""
        if self._given_reader is None:
            self._given_reader = self.app.home().reader()
        return self._given_reader

    @property
    def status(self) -> RunStatus:
        """READY, RUNNING, SUCCESSFUL, FAILED, CANCELLED or DEAD."""
        return self._reader.snapshot(self.id).status

    @property
    def state(self) -> RunStatus:
        return self.status

    def ready(self) -> bool:
        return self.status in FINISHED

    def successful(self) -> bool:
        return self.status is RunStatus.SUCCESSFUL

    def failed(self) -> bool:
        return self.status in FINISHED - {RunStatus.SUCCESSFUL}

    def get(self, timeout: float | None = None, propagate: bool = True, **_: Any) -> Any:
        """Wait at most `timeout` seconds for the return value.

        Raises celery.exceptions.TimeoutError (the run goes on), RunFailedError if it ended
        otherwise. A result that was kept at its site gives its description, not its content.
        """
        snapshot = self._wait(timeout)
        if snapshot.status is RunStatus.SUCCESSFUL:
            return snapshot.value()
        if propagate:
            raise snapshot.failure()
        return snapshot.failure()

    wait = get

    def _wait(self, timeout: float | None) -> Snapshot:
        self._reader.before_wait()
        deadline = None if timeout is None else time.monotonic() + timeout
        pause_s = FIRST_POLL_S
        while (snapshot := self._reader.snapshot(self.id)).status not in FINISHED:
            if deadline is not None and time.monotonic() >= deadline:
                raise CeleryTimeoutError(
                    f"run {self.id} is {snapshot.status} after {timeout} s: {snapshot.reason}"
                )
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, LONGEST_POLL_S)
        return snapshot

    def cancel(self) -> None:
        """Cancel the run; raises IllegalTransitionError if it has finished."""
        self._reader.cancel(self.id)

    def revoke(self, *_: Any, **__: Any) -> None:
        self.cancel()

    def forget(self) -> None:
        """Refused: runs are kept."""
        raise RefusedError(
            f"run {self.id} cannot be forgotten: ledger and journal keep all runs; "
            ".cancel() stops it"
        )

    def _get_task_meta(self) -> dict[str, Any]:
        """What `.result`, `.info`, `.traceback` and `.children` read: the home, each time."""
        return self._reader.snapshot(self.id).celery_meta()

    def then(self, callback: Callable[..., Any], on_error: Any = None, weak: bool = False) -> Any:
        """Celery's groups count their members with this; nothing is called from here."""
        return self.on_ready.then(callback, on_error)

    def __del__(self) -> None:
        """AsyncResult would talk to its result backend, and there is none."""


def _why(snapshot: Snapshot) -> str:
    error = snapshot.error
    if error:
        return f"{error.get('kind', 'error')}: {error.get('message', '')}"
    return snapshot.reason or str(snapshot.status)
