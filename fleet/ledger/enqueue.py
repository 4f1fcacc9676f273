"""Accepting calls: one row (and its event) in the caller's transaction, no broker needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from celery import Celery
from django.db import IntegrityError, transaction

from fleet.ledger.bulk import insert_rows
from fleet.models import CONTROL_HOME, RunEvent, TaskRun
from fleet.policy.errors import KeyConflictError, RefusedError
from fleet.policy.states import RunStatus
from tasks.call import Call
from tasks.settings import settings
from tasks.wake import relay_bell, ring


@dataclass(frozen=True, slots=True)
class Accepted:
    """`created` is False when the idempotency key had been seen with the same content."""

    run: TaskRun
    created: bool


def accept(app: Celery, call: Call, *, by: str) -> Accepted:
    """Write the run; it is rolled back with the caller's transaction.

    Raises KeyConflictError for a key that was used with other content.
    """
    if call.key is not None:
        earlier = _earlier(call)
        if earlier is not None:
            return earlier
    try:
        with transaction.atomic():
            run = _row(call, by)
            insert_rows([run])
            insert_rows([_event(run)])
    except IntegrityError as error:
        earlier = _earlier(call) if call.key is not None else None
        if earlier is None:
            raise _id_taken(error) from error
        return earlier
    transaction.on_commit(wake_relay)
    return Accepted(run, created=True)


def accept_many(app: Celery, calls: Sequence[Call], *, by: str) -> list[Accepted]:
    """Write many runs with a few statements, all of them or none; results in the same order."""
    plain = [call for call in calls if call.key is None]
    rows = {call.id: _row(call, by) for call in plain}
    with transaction.atomic():
        try:
            insert_rows(list(rows.values()))
        except IntegrityError as error:
            raise _id_taken(error) from error
        insert_rows([_event(run) for run in rows.values()])
        keyed = {call.id: accept(app, call, by=by) for call in calls if call.key is not None}
        transaction.on_commit(wake_relay)
    return [keyed.get(call.id) or Accepted(rows[call.id], created=True) for call in calls]


def _id_taken(error: IntegrityError) -> RefusedError:
    return RefusedError(f"there is a run with this task_id already; leave task_id out ({error})")


def wake_relay() -> None:
    """Tell the control loop that there is something to publish."""
    ring(relay_bell(settings().state_dir))


def _earlier(call: Call) -> Accepted | None:
    run = TaskRun.objects.filter(home=CONTROL_HOME, idempotency_key=call.key).first()
    if run is None:
        return None
    if run.content_digest != call.digest():
        raise KeyConflictError(
            f"idempotency_key {call.key!r} was used for run {run.pk} with other content "
            f"({run.task}); use a new key"
        )
    return Accepted(run, created=False)


def _row(call: Call, by: str) -> TaskRun:
    return TaskRun(
        id=call.id,
        task=call.contract.name,
        args=call.args,
        kwargs=call.kwargs,
        capability=call.contract.capability,
        site=call.site,
        queue_name=call.queue,
        priority=call.priority,
        effect=call.contract.effect.value,
        max_attempts=call.contract.max_attempts,
        status=RunStatus.READY.value,
        idempotency_key=call.key,
        content_digest=call.digest() if call.key is not None else "",
        enqueued_by=by,
        group_id=call.group_id,
        run_after=call.run_after,
        expires_at=call.expires_at,
        enqueued_at=datetime.now(UTC),
    )


def _event(run: TaskRun) -> RunEvent:
    return RunEvent(
        run_id=run.id,
        at=run.enqueued_at,
        event="enqueue",
        from_status="",
        to_status=RunStatus.READY.value,
        why="accepted",
        who=run.enqueued_by or "program",
    )
