"""Accepting tasks, and the runs that came of them."""

import uuid
from collections.abc import Callable
from datetime import datetime

from django.db import transaction
from django.utils import timezone
from ninja import Body, Query, Router, Status

from fleet.api.auth import ApiRequest, reader, writer
from fleet.api.errors import ItemError, NotFoundError
from fleet.api.known import refuse_unknown_names
from fleet.api.schemas import (
    AcceptedOut,
    RunDetailOut,
    RunOut,
    RunPageOut,
    TaskBody,
    TaskIn,
    WhyIn,
)
from fleet.api.schemas import ProblemOut as Problem
from fleet.api.selection import RunFilters, refuse_unknown, select_page
from fleet.ledger import operate
from fleet.ledger.enqueue import Accepted, accept, accept_many
from fleet.ledger.waiting import waiting_reason
from fleet.models import CONTROL_HOME, TaskRun
from fleet.policy.errors import FleetError
from tasks import app
from tasks.call import Call, make_call

router = Router()
AcceptedBody = AcceptedOut | list[AcceptedOut]


@router.post(
    "",
    auth=writer,
    response={
        200: AcceptedBody,
        201: AcceptedBody,
        frozenset({400, 401, 403, 409, 413, 422, 503}): Problem,
    },
    summary="Enqueue one task, or a list of them",
)
def enqueue(request: ApiRequest, payload: Body[TaskBody]) -> Status[object]:
    """A list is accepted as a whole or not at all; the error then has the `index`. 200 instead of
    201 says that the idempotency key had been seen with the same content: nothing was added.
    """
    if isinstance(payload, list):
        accepted = _accept_list(payload, request.auth.who)
        created = any(one.created for one in accepted)
        return Status(201 if created else 200, [_accepted_out(one) for one in accepted])
    with transaction.atomic():
        one = accept(app, _call(payload), by=request.auth.who)
    return Status(201 if one.created else 200, _accepted_out(one))


@router.get(
    "",
    auth=reader,
    response={200: RunPageOut, frozenset({401, 403, 422, 503}): Problem},
    summary="List runs, newest first",
)
def list_runs(request: ApiRequest, filters: Query[RunFilters]) -> RunPageOut:
    """Filters combine; follow `next` with the same filters."""
    refuse_unknown(list(request.GET))
    refuse_unknown_names(filters)
    page, following = select_page(filters)
    return RunPageOut(items=[RunOut.from_orm(run) for run in page], next=following)


@router.get(
    "/{run_id}",
    auth=reader,
    response={200: RunDetailOut, frozenset({401, 403, 404, 503}): Problem},
    summary="One run with its attempts, events and the reason why it waits",
)
def show_run(request: ApiRequest, run_id: str) -> RunDetailOut:
    """`return_value` is null while there is none, and when the result stays at its site."""
    return _detail(_find(run_id), timezone.now())


@router.post(
    "/{run_id}/cancel",
    auth=writer,
    response={
        200: RunDetailOut,
        202: RunDetailOut,
        frozenset({400, 401, 403, 404, 409, 422, 503}): Problem,
    },
    summary="Cancel a run",
)
def cancel_run(
    request: ApiRequest, run_id: str, payload: WhyIn | None = None
) -> Status[RunDetailOut]:
    """A running task is asked to stop, and what it reports no longer counts. 202 instead of 200
    says that the run's home is a site, which hears of it with its next report.
    """
    return _operate(operate.cancel, request, run_id, payload)


@router.post(
    "/{run_id}/retry",
    auth=writer,
    response={
        200: RunDetailOut,
        202: RunDetailOut,
        frozenset({400, 401, 403, 404, 409, 422, 503}): Problem,
    },
    summary="Run a finished run again",
)
def retry_run(
    request: ApiRequest, run_id: str, payload: WhyIn | None = None
) -> Status[RunDetailOut]:
    """For runs that failed, were cancelled or are dead; a successful run is not run again. 202
    instead of 200 says that the run's home is a site, which hears of it with its next report.
    """
    return _operate(operate.retry, request, run_id, payload)


def _operate(
    action: Callable[..., TaskRun], request: ApiRequest, run_id: str, payload: WhyIn | None
) -> Status[RunDetailOut]:
    why = payload.why if payload else ""
    run = action(_find(run_id).pk, who=request.auth.who, why=why)
    return Status(200 if run.home == CONTROL_HOME else 202, _detail(run, timezone.now()))


def _accept_list(items: list[TaskIn], who: str) -> list[Accepted]:
    """Calls without a key go in bulk; each key is looked up, so that a conflict has its index."""
    calls = [_item_call(index, item) for index, item in enumerate(items)]
    plain = [(index, call) for index, call in enumerate(calls) if call.key is None]
    keyed = [(index, call) for index, call in enumerate(calls) if call.key is not None]
    with transaction.atomic():
        in_bulk = accept_many(app, [call for _, call in plain], by=who)
        done = dict(zip((index for index, _ in plain), in_bulk, strict=True))
        done |= {index: _item_accept(index, call, who) for index, call in keyed}
    return [done[index] for index in range(len(calls))]


def _item_accept(index: int, call: Call, who: str) -> Accepted:
    try:
        return accept(app, call, by=who)
    except FleetError as error:
        raise ItemError(index, error) from error


def _item_call(index: int, item: TaskIn) -> Call:
    try:
        return _call(item)
    except FleetError as error:
        raise ItemError(index, error) from error


def _call(item: TaskIn) -> Call:
    options = item.dict(exclude={"task", "args", "kwargs"})
    return make_call(app, item.task, item.args, item.kwargs, **options)


def _accepted_out(one: Accepted) -> AcceptedOut:
    return AcceptedOut(**RunOut.from_orm(one.run).dict(), created=one.created)


def _find(run_id: str) -> TaskRun:
    try:
        return TaskRun.objects.get(pk=uuid.UUID(run_id))
    except (ValueError, TaskRun.DoesNotExist):
        raise NotFoundError(f"there is no run {run_id!r}") from None


def _detail(run: TaskRun, now: datetime) -> RunDetailOut:
    attempts = list(run.attempt_set.order_by("number"))
    history = {
        "waiting_reason": waiting_reason(run, now),
        "worker_ids": [attempt.worker_id for attempt in attempts if attempt.worker_id],
        "return_value": run.return_value,
        "result_meta": run.result_meta,
        "attempt_list": attempts,
        "events": list(run.events.order_by("id")),
    }
    return RunDetailOut.model_validate({**RunOut.from_orm(run).dict(), **history})
