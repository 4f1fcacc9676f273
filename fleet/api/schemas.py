"""What the API takes and gives about tasks, with examples for its documentation."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from ninja import Schema
from pydantic import AfterValidator, ConfigDict, Discriminator, Field, StrictInt, StrictStr, Tag

from fleet.policy.effects import EffectClass
from fleet.policy.states import AttemptStatus, RunStatus

#: Most calls in one request; a longer list is sent in parts.
MAX_CALLS = 10_000
#: Deeper arguments would overflow the stack of some JSON codec on the way, after acceptance.
MAX_DEPTH = 64


def _shallow(value: Any) -> Any:
    """Level by level instead of recursively: what is too deep must not overflow here either."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [part for whole in level for part in _parts(whole)]
        if not level:
            return value
    raise ValueError(f"nested more than {MAX_DEPTH} levels deep")


def _parts(whole: Any) -> Any:
    if isinstance(whole, dict):
        return whole.values()
    return whole if isinstance(whole, list) else ()


class TaskIn(Schema):
    """A call of a task. Times need a time zone, such as `2026-03-01T06:00:00Z`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "task": "dev.git_log",
                    "args": ["https://git.example.org/turtle.git"],
                    "kwargs": {"limit": 5},
                    "site": "dc1",
                    "priority": "high",
                    "idempotency_key": "log-of-monday",
                }
            ]
        },
    )

    task: str = Field(description="Name of the task, such as `dev.git_log`")
    args: Annotated[list[Any], AfterValidator(_shallow)] = Field(
        default_factory=list, description="Positional arguments, JSON"
    )
    kwargs: Annotated[dict[str, Any], AfterValidator(_shallow)] = Field(
        default_factory=dict, description="Named arguments, JSON"
    )
    site: str | None = Field(None, description="Run it at this site only")
    queue: str | None = Field(None, description="`<capability>` or `<capability>.<site>`")
    priority: StrictInt | StrictStr | None = Field(
        None, description="batch, normal, high, incident, or a number from -100 to 100"
    )
    run_after: datetime | None = Field(None, description="Not before this moment")
    expires_at: datetime | None = Field(None, description="Not started after this moment")
    idempotency_key: str | None = Field(
        None, description="The same key with the same content gives the first run again"
    )


def _shape(body: Any) -> str:
    return "many" if isinstance(body, list) else "one"


TaskBody = Annotated[
    Annotated[TaskIn, Tag("one")]
    | Annotated[list[TaskIn], Field(min_length=1, max_length=MAX_CALLS), Tag("many")],
    Discriminator(_shape),
]


class WhyIn(Schema):
    """The reason that is kept with a person's decision."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"why": "the device is being replaced"}]}
    )

    why: str = Field("", max_length=300, description="Shown in the run's events")


class RunOut(Schema):
    """A run. `attempts` counts them; `error` has `kind`, `message`, `blame` and `transient`."""

    model_config = ConfigDict(extra="forbid")

    id: UUID
    task: str
    args: list[Any]
    kwargs: dict[str, Any]
    capability: str
    site: str = Field(description="Pinned to this site; empty: any that has the capability")
    queue_name: str
    priority: int
    effect: EffectClass
    status: RunStatus
    reason: str = Field(description="Why it is in this status")
    home: str
    idempotency_key: str | None
    enqueued_by: str
    group_id: str
    run_after: datetime | None
    expires_at: datetime | None
    enqueued_at: datetime
    last_attempted_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    attempts: int
    max_attempts: int
    worker_id: str
    error: dict[str, Any] | None


class AcceptedOut(RunOut):
    """`created` is false when the idempotency key had been seen with the same content."""

    created: bool


class AttemptOut(Schema):
    """One try at a run; `stale` means that it reported after it had been replaced."""

    number: int
    token: int
    status: AttemptStatus
    queue_name: str
    created_at: datetime
    published_at: datetime | None
    times_published: int
    started_at: datetime | None
    seen_at: datetime | None
    ended_at: datetime | None
    site: str
    worker_id: str
    outcome: dict[str, Any] | None
    stale: bool


class EventOut(Schema):
    """A change of a run's status."""

    at: datetime
    event: str
    from_status: str
    to_status: str
    why: str
    who: str


class RunDetailOut(RunOut):
    """A run with its history. `waiting_reason` is empty when it does not wait."""

    waiting_reason: str
    worker_ids: list[str]
    return_value: Any
    result_meta: dict[str, Any] | None = Field(
        description="Digest, size, summary and place of a result that stayed at its site"
    )
    attempt_list: list[AttemptOut]
    events: list[EventOut]


class RunPageOut(Schema):
    """A page of runs, newest first. Pass `next` as `cursor` for the one after."""

    items: list[RunOut]
    next: str | None


class ProblemOut(Schema):
    """An error, RFC 9457. Depending on `type` with `near`, `expected`, `limit_bytes`, `index`
    or `errors` (each with `detail` and a `pointer` into the body or a `parameter`).
    """

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:turtle-fleet:problem:unknown-name",
                    "title": "Unknown name",
                    "status": 422,
                    "detail": "unknown site 'dc4'; did you mean dc1 or dc2?",
                    "near": ["dc1", "dc2"],
                }
            ]
        },
    )

    type: str
    title: str
    status: int
    detail: str
