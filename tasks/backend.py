"""There is no result backend: the ledger and the journals have the results.

What Celery asks of one is answered by the home of this process, in Celery's words.
"""

from typing import Any, NoReturn

from celery.backends.base import BaseBackend, DisabledBackend

from fleet.policy.errors import RefusedError


class NoResults(DisabledBackend):  # type: ignore[misc]
    """Serves `celery.result.AsyncResult`; says clearly what it cannot do."""

    #: Polls; DisabledBackend would refuse.
    wait_for = BaseBackend.wait_for

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        meta: dict[str, Any] = self.app.home().reader().snapshot(task_id).celery_meta()
        return meta

    def forget(self, task_id: str) -> NoReturn:
        raise RefusedError(
            f"run {task_id} cannot be forgotten: ledger and journal keep all runs; "
            "`app.AsyncResult(id).cancel()` stops it"
        )

    def get_many(self, task_ids: Any, **options: Any) -> NoReturn:
        raise RefusedError("results come one by one: call `.get()` of each handle")

    def ensure_chords_allowed(self) -> NoReturn:
        raise RefusedError(
            "chords need a result backend, and the fleet has none: enqueue the group, wait for "
            "its members with `.get()`, then enqueue the next task"
        )

    def apply_chord(self, *args: Any, **kwargs: Any) -> NoReturn:
        self.ensure_chords_allowed()
