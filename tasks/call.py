"""A call of a task, checked at the door: the same checks for every road and every home."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from celery import Celery

from fleet.policy import routing
from fleet.policy.contracts import TaskContract
from fleet.policy.envelope import canonical_json
from fleet.policy.errors import BadArgumentsError, RefusedError
from fleet.policy.json_values import has_nul
from fleet.policy.priority import parse_priority
from tasks.arguments import check_arguments, is_json
from tasks.celery_options import call_options
from tasks.ids import new_run_id
from tasks.moments import aware, check_order
from tasks.settings import settings

MAX_KEY_CHARS = 200
#: Celery's tasks that call another task many times within one message.
_MANY_IN_ONE = ("celery.map", "celery.starmap", "celery.chunks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One checked call. `site` is "" for any site, times are aware datetimes in UTC.

    `bound` has all arguments by the names of the task's parameters; the worker gets `args` and
    `kwargs` as the caller gave them.
    """

    id: uuid.UUID
    contract: TaskContract
    args: list[Any]
    kwargs: dict[str, Any]
    bound: dict[str, Any]
    site: str
    queue: str
    priority: int
    run_after: datetime | None
    expires_at: datetime | None
    key: str | None
    group_id: str

    def digest(self) -> str:
        """SHA-256 of the content, to tell a repeated idempotency key from a reused one.

        An argument is the same whether it was given by its place or by its name.
        """
        content = [self.contract.name, self.bound, self.site, self.queue]
        return sha256(canonical_json(content)).hexdigest()


def task_contracts(app: Celery) -> dict[str, TaskContract]:
    """The contracts of all fleet tasks by name; Celery's own tasks have none."""
    app.finalize(auto=True)
    app.loader.import_default_modules()
    found = ((name, getattr(task, "contract", None)) for name, task in app.tasks.items())
    return {name: contract for name, contract in found if contract is not None}


def make_call(
    app: Celery,
    name: str,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    site: str | None = None,
    queue: str | None = None,
    priority: int | str | None = None,
    run_after: datetime | None = None,
    expires_at: datetime | None = None,
    idempotency_key: str | None = None,
    group_id: str | None = None,
    task_id: str | uuid.UUID | None = None,
) -> Call:
    """Check a call and give it its id.

    Raises UnknownNameError (task, queue, site), BadArgumentsError (signature, JSON, types,
    priority, times, key) or TooLargeError.
    """
    contract = _contract(app, name)
    clean_args, clean_kwargs, bound = check_arguments(app, name, args, kwargs)
    pinned = _place(contract, site, queue)
    run_after, expires_at = aware(run_after, "run_after"), aware(expires_at, "expires_at")
    check_order(run_after, expires_at)
    return Call(
        id=_run_id(task_id),
        contract=contract,
        args=clean_args,
        kwargs=clean_kwargs,
        bound=bound,
        site=pinned,
        queue=routing.queue_name(contract.capability, pinned or None),
        priority=parse_priority(priority),
        run_after=run_after,
        expires_at=expires_at,
        key=_key(idempotency_key),
        group_id=group_id or "",
    )


def call_from_celery(
    app: Celery,
    name: str,
    args: Sequence[Any] | None,
    kwargs: Mapping[str, Any] | None,
    options: Mapping[str, Any],
) -> Call:
    """Translate the options of Celery's `apply_async` into a call; refuse what cannot be kept."""
    chosen = call_options(_contract(app, name), options)
    return make_call(app, name, args, kwargs, **chosen)


def _contract(app: Celery, name: str) -> TaskContract:
    if name in _MANY_IN_ONE:
        raise RefusedError(
            f"{name} would be many calls in one message, without a run of their own; use "
            "enqueue_many(task.s(item) for item in items)"
        )
    task = app.tasks.get(name)
    contract = getattr(task, "contract", None)
    if contract is None:
        contract = task_contracts(app)[routing.known("task", name, task_contracts(app))]
    return contract


def _place(contract: TaskContract, site: str | None, queue: str | None) -> str:
    sites = settings().sites
    pinned = routing.known("site", site, sites) if site else ""
    if queue is None:
        return pinned
    capability, queue_site = routing.parse_queue(queue, sites)
    if capability != contract.capability:
        raise BadArgumentsError(
            f"{contract.name} needs the capability {contract.capability!r}; "
            f"the queue {queue!r} cannot serve it"
        )
    if pinned and queue_site and pinned != queue_site:
        raise BadArgumentsError(f"site {pinned!r} contradicts the queue {queue!r}")
    return pinned or queue_site or ""


def _run_id(task_id: str | uuid.UUID | None) -> uuid.UUID:
    if task_id is None:
        return new_run_id()
    try:
        return task_id if isinstance(task_id, uuid.UUID) else uuid.UUID(task_id)
    except (ValueError, AttributeError, TypeError):
        raise BadArgumentsError(f"task_id {task_id!r} is not a UUID") from None


def _key(key: str | None) -> str | None:
    if key is None:
        return None
    if not isinstance(key, str) or not 0 < len(key) <= MAX_KEY_CHARS:
        raise BadArgumentsError(f"idempotency_key must be a text of 1 to {MAX_KEY_CHARS} letters")
    if has_nul(key) or not is_json(key):
        raise BadArgumentsError(
            "idempotency_key holds a character that is not stored: U+0000 or "
            "half of a surrogate pair"
        )
    return key
