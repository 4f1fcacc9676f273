"""What a person or a program asks of a run: cancel it, or try it again."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from fleet.ledger.enqueue import wake_relay
from fleet.ledger.transitions import move
from fleet.models import CONTROL_HOME, HomeMail, TaskRun
from fleet.policy.states import RunEvent, RunStatus, advance
from tasks import app
from tasks.revoke import stop_on_workers

TRIES = 5


def cancel(run_id: UUID | str, *, who: str, why: str = "") -> TaskRun:
    """Cancel an unfinished run. One that is running is asked to stop, and cannot commit any more.

    Raises TaskRun.DoesNotExist or IllegalTransitionError.
    """
    return _operate(run_id, RunEvent.CANCEL, who, why or f"cancelled by {who}")


def retry(run_id: UUID | str, *, who: str, why: str = "") -> TaskRun:
    """Give a failed, cancelled or dead run another attempt.

    Raises TaskRun.DoesNotExist or IllegalTransitionError.
    """
    run = _operate(run_id, RunEvent.RETRY, who, why or f"tried again by {who}")
    transaction.on_commit(wake_relay)
    return run


def _operate(run_id: UUID | str, event: RunEvent, who: str, why: str) -> TaskRun:
    for _ in range(TRIES):
        run = TaskRun.objects.get(pk=run_id)
        if run.home != CONTROL_HOME:
            return _ask_home(run, event, who, why)
        was_out = run.open_attempt
        if move(run, event, now=datetime.now(UTC), why=why, who=who, changes=_changes(run, event)):
            if event is RunEvent.CANCEL and was_out:
                transaction.on_commit(partial(stop_on_workers, app, run.token))
            return run
    raise RuntimeError(f"run {run_id} changed {TRIES} times while it was being changed")


def _changes(run: TaskRun, event: RunEvent) -> dict[str, Any]:
    """A retried run may use as many attempts as its task allows, once more."""
    return {"max_attempts": run.attempts + 1} if event is RunEvent.RETRY else {}


def _ask_home(run: TaskRun, event: RunEvent, who: str, why: str) -> TaskRun:
    """Only a run's home changes it: the wish travels in the answer to its next report."""
    advance(RunStatus(run.status), event)
    if event is RunEvent.CANCEL and run.open_attempt:
        transaction.on_commit(partial(stop_on_workers, app, run.token))
    kind = "cancel" if event is RunEvent.CANCEL else "retry"
    HomeMail.objects.create(
        site_id=run.home,
        kind=kind,
        payload={"run_id": str(run.pk), "who": who, "why": why},
        created_at=datetime.now(UTC),
    )
    return run
