"""There is no result backend: the ledger and the journals have the results."""

from typing import Any, NoReturn

from celery.backends.base import DisabledBackend

from fleet.policy.errors import RefusedError


class NoResults(DisabledBackend):  # type: ignore[misc]
    """Says so clearly where Celery would need one."""

    def ensure_chords_allowed(self) -> NoReturn:
        raise RefusedError(
            "chords need a result backend, and the fleet has none: enqueue the group, wait for "
            "its members with `.get()`, then enqueue the next task"
        )

    def apply_chord(self, *args: Any, **kwargs: Any) -> NoReturn:
        self.ensure_chords_allowed()
