"""Which runs a list shows: filters, free text, and an opaque cursor."""

import base64
import json
import re
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from django.db.models import Exists, OuterRef, Q, QuerySet, TextField
from django.db.models.functions import Cast
from ninja import Schema
from pydantic import AfterValidator, BeforeValidator, Field

from fleet.api.errors import ParameterError
from fleet.models import Attempt, TaskRun
from fleet.policy.states import RunStatus

PAGE = 50
MAX_PAGE = 500
_SPACE_FOR_PLUS = re.compile(r" (\d\d:?\d\d)$")


def _split(values: Any) -> Any:
    """`?status=READY&status=failed` and `?status=READY,FAILED` mean the same."""
    if not isinstance(values, list):
        return values
    return [part.strip().upper() for value in values for part in str(value).split(",")]


def _plus(value: Any) -> Any:
    """In a query string `+` means a space, so an offset that was not quoted arrives with one."""
    return _SPACE_FOR_PLUS.sub(r"+\1", value) if isinstance(value, str) else value


def _with_zone(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("the time has no time zone; add one, for example Z")
    return moment


Moment = Annotated[datetime, BeforeValidator(_plus), AfterValidator(_with_zone)]


class RunFilters(Schema):
    """All conditions must hold. `since` is inclusive, `until` is not; both mean `enqueued_at`."""

    status: Annotated[list[RunStatus], BeforeValidator(_split)] = Field(
        default_factory=list, description="One or several, repeated or with commas"
    )
    task: str | None = Field(None, description="Name of the task")
    queue: str | None = Field(None, description="Name of the queue")
    site: str | None = Field(None, description="Pinned to this site, or attempted there")
    worker: str | None = Field(None, description="A worker that attempted it")
    since: Moment | None = None
    until: Moment | None = None
    q: str | None = Field(
        None, max_length=200, description="Text in the task's name, id, arguments or error"
    )
    limit: int = Field(PAGE, ge=1, le=MAX_PAGE)
    cursor: str | None = Field(None, max_length=200, description="`next` of the page before")


def select_page(filters: RunFilters) -> tuple[list[TaskRun], str | None]:
    """The runs of one page, newest first, and the cursor of the next page or None."""
    runs = after_cursor(matching(filters), filters.cursor).order_by("-enqueued_at", "-id")
    rows = list(runs[: filters.limit + 1])
    if len(rows) <= filters.limit:
        return rows, None
    page = rows[: filters.limit]
    return page, cursor_of(page[-1])


def matching(filters: RunFilters) -> QuerySet[TaskRun]:
    """The runs that meet all conditions."""
    runs = TaskRun.objects.filter(**_equal(filters))
    if filters.status:
        runs = runs.filter(status__in=filters.status)
    if filters.site:
        runs = runs.filter(Q(site=filters.site) | _attempted(site=filters.site))
    if filters.worker:
        runs = runs.filter(Q(worker_id=filters.worker) | _attempted(worker_id=filters.worker))
    return containing(runs, filters.q) if filters.q else runs


def containing(runs: QuerySet[TaskRun], text: str) -> QuerySet[TaskRun]:
    """The runs whose task, id, arguments or error contain `text`, in any case.

    JSON columns hold escaped text, so the escaped form is looked for as well.
    """
    columns = {f"{name}_text": Cast(name, TextField()) for name in ("args", "kwargs", "error")}
    condition = Q(task__icontains=text) | Q(id__icontains=text)
    for form in {text, json.dumps(text)[1:-1]}:
        for column in columns:
            condition |= Q(**{f"{column}__icontains": form})
    return runs.alias(**columns).filter(condition)


def cursor_of(run: TaskRun) -> str:
    """The place just after `run` in the list."""
    place = json.dumps([run.enqueued_at.isoformat(), run.id.hex])
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def after_cursor(runs: QuerySet[TaskRun], cursor: str | None) -> QuerySet[TaskRun]:
    """The runs that come after the cursor; raises ParameterError for a broken one."""
    if cursor is None:
        return runs
    moment, run_id = _place(cursor)
    return runs.filter(Q(enqueued_at__lt=moment) | Q(enqueued_at=moment, id__lt=run_id))


def refuse_unknown(names: Sequence[str]) -> None:
    """A mistyped filter would silently show everything, so it is refused."""
    for name in names:
        if name not in RunFilters.model_fields:
            known = ", ".join(RunFilters.model_fields)
            raise ParameterError(name, f"there is no such filter; known: {known}")


def _equal(filters: RunFilters) -> dict[str, Any]:
    wanted = {
        "task": filters.task,
        "queue_name": filters.queue,
        "enqueued_at__gte": filters.since,
        "enqueued_at__lt": filters.until,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _attempted(**conditions: str) -> Exists:
    return Exists(Attempt.objects.filter(run=OuterRef("pk"), **conditions))


def _place(cursor: str) -> tuple[datetime, uuid.UUID]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        moment, run_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        return _with_zone(datetime.fromisoformat(moment)), uuid.UUID(run_id)
    except (ValueError, TypeError, AttributeError) as error:
        raise ParameterError("cursor", "use the `next` of the page before") from error
