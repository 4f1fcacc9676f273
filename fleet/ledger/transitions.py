"""The one way in which a run changes its status: a compare-and-set with its event row."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from fleet.models import Attempt, RunEvent, TaskRun
from fleet.policy.states import (
    ATTEMPT_AFTER,
    FINISHED,
    OPEN_ATTEMPTS,
    AttemptStatus,
    RunStatus,
    advance,
)
from fleet.policy.states import RunEvent as Happening

REASON_CHARS = 300


def move(
    run: TaskRun,
    event: Happening,
    *,
    now: datetime,
    why: str,
    who: str,
    changes: Mapping[str, Any] | None = None,
    attempt_changes: Mapping[str, Any] | None = None,
) -> bool:
    """Apply `event` to the run as it was read; False if somebody else was faster.

    Raises IllegalTransitionError, and nothing is written, when the table has no such step.
    """
    before = RunStatus(run.status)
    after = advance(before, event)
    values = _values(before, after, event, now, why) | dict(changes or {})
    with transaction.atomic():
        same = TaskRun.objects.filter(pk=run.pk, status=before, token=run.token)
        if not same.update(**values):
            return False
        _end_attempt(run, event, now, attempt_changes or {})
        RunEvent.objects.create(
            run_id=run.pk,
            at=now,
            event=event,
            from_status=before,
            to_status=after,
            why=why[:REASON_CHARS],
            who=who,
        )
    for name, value in values.items():
        setattr(run, name, value)
    return True


def _values(
    before: RunStatus, after: RunStatus, event: Happening, now: datetime, why: str
) -> dict[str, Any]:
    values: dict[str, Any] = {"status": after.value, "reason": why[:REASON_CHARS]}
    if after in FINISHED:
        values |= {"finished_at": now, "open_attempt": False}
    elif after is RunStatus.READY:
        values |= {"finished_at": None, "open_attempt": False, "worker_id": ""}
    if event is Happening.RETRY:
        values |= {"run_after": None, "expires_at": None, "error": None}
    return values


def _end_attempt(run: TaskRun, event: Happening, now: datetime, changes: Mapping[str, Any]) -> None:
    status = ATTEMPT_AFTER.get(event)
    if status is None or not run.token:
        return
    ended = {} if status is AttemptStatus.RUNNING else {"ended_at": now}
    Attempt.objects.filter(token=run.token, status__in=OPEN_ATTEMPTS).update(
        status=status, **ended, **changes
    )
