"""A call of a task, checked at the door: the same checks for every road and every home."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from celery import Celery

from fleet.policy import routing
from fleet.policy.contracts import TaskContract
from fleet.policy.envelope import canonical_json
from fleet.policy.errors import BadArgumentsError, RefusedError, TooLargeError
from fleet.policy.json_values import MAX_DEPTH, has_nul, too_deep
from fleet.policy.priority import parse_priority
from tasks.ids import new_run_id
from tasks.settings import settings

#: Options of Celery calls that would need a result backend or a second message.
CANVAS_OPTIONS = ("chain", "chord", "link", "link_error")
MAX_KEY_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One checked call. `site` is "" for any site, times are aware datetimes in UTC."""

    id: uuid.UUID
    contract: TaskContract
    args: list[Any]
    kwargs: dict[str, Any]
    site: str
    queue: str
    priority: int
    run_after: datetime | None
    expires_at: datetime | None
    key: str | None
    group_id: str

    def digest(self) -> str:
        """SHA-256 of the content, to tell a repeated idempotency key from a reused one."""
        content = [self.contract.name, self.args, self.kwargs, self.site, self.queue]
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

    Raises UnknownNameError (task, queue, site), BadArgumentsError (signature, JSON, priority,
    times, key) or TooLargeError.
    """
    contract = _contract(app, name)
    clean_args, clean_kwargs = _arguments(app, name, args, kwargs)
    pinned = _place(contract, site, queue)
    return Call(
        id=_run_id(task_id),
        contract=contract,
        args=clean_args,
        kwargs=clean_kwargs,
        site=pinned,
        queue=routing.queue_name(contract.capability, pinned or None),
        priority=parse_priority(priority),
        run_after=_aware(run_after, "run_after"),
        expires_at=_aware(expires_at, "expires_at"),
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
    used = [option for option in CANVAS_OPTIONS if options.get(option)]
    if used:
        raise RefusedError(
            f"{name}: {', '.join(used)} cannot be kept durable by the ledger, so chains, chords "
            "and links of fleet tasks are refused; enqueue the next task when `.get()` returns, "
            "or use a group"
        )
    return make_call(
        app,
        name,
        args,
        kwargs,
        site=options.get("site"),
        queue=_queue_option(options),
        priority=options.get("priority"),
        run_after=_moment(options.get("eta"), options.get("countdown"), "countdown"),
        expires_at=_expiry(options.get("expires")),
        idempotency_key=options.get("idempotency_key"),
        group_id=options.get("group_id"),
        task_id=options.get("task_id"),
    )


def _contract(app: Celery, name: str) -> TaskContract:
    task = app.tasks.get(name)
    contract = getattr(task, "contract", None)
    if contract is None:
        contract = task_contracts(app)[routing.known("task", name, task_contracts(app))]
    return contract


def _arguments(
    app: Celery, name: str, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None
) -> tuple[list[Any], dict[str, Any]]:
    if isinstance(args, str | bytes) or not isinstance(args or (), Sequence):
        raise BadArgumentsError(f"{name}: args must be a list, not {type(args).__name__}")
    if not isinstance(kwargs or {}, Mapping):
        raise BadArgumentsError(f"{name}: kwargs must be an object, not {type(kwargs).__name__}")
    clean = (list(args or ()), dict(kwargs or {}))
    try:
        app.tasks[name].__header__(*clean[0], **clean[1])
    except TypeError as error:
        raise BadArgumentsError(f"{name}: {_plain(error)}") from None
    if too_deep(clean):
        raise BadArgumentsError(f"{name}: arguments are nested more than {MAX_DEPTH} levels deep")
    size_bytes = _json_size(name, clean)
    if has_nul(clean):
        raise BadArgumentsError(f"{name}: an argument holds the character U+0000; remove it")
    limit_bytes = settings().limits.max_args_bytes
    if size_bytes > limit_bytes:
        raise TooLargeError(size_bytes, limit_bytes)
    return clean


def _plain(error: TypeError) -> str:
    """Celery checks against a generated function; show the caller the message only."""
    return str(error).replace("<lambda>", "the task").split("() ", 1)[-1]


def _json_size(name: str, clean: tuple[list[Any], dict[str, Any]]) -> int:
    try:
        return len(canonical_json(clean))
    except (TypeError, ValueError):
        wrong = [f"args[{i}]" for i, value in enumerate(clean[0]) if not _is_json(value)]
        wrong += [key for key, value in clean[1].items() if not _is_json(value)]
        raise BadArgumentsError(
            f"{name}: {', '.join(map(str, wrong)) or 'an argument'} is not JSON; "
            "pass strings, numbers, booleans, null, lists and objects"
        ) from None


def _is_json(value: Any) -> bool:
    try:
        canonical_json(value)
    except (TypeError, ValueError):
        return False
    return True


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
    if has_nul(key) or not _is_json(key):
        raise BadArgumentsError(
            "idempotency_key holds a character that is not stored: U+0000 or "
            "half of a surrogate pair"
        )
    return key


def _aware(moment: datetime | None, name: str) -> datetime | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise BadArgumentsError(
            f"{name} {moment.isoformat()} has no time zone; add one, e.g. +00:00"
        )
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise BadArgumentsError(f"{name} {moment.isoformat()} is out of range") from None


def _queue_option(options: Mapping[str, Any]) -> str | None:
    queue = options.get("queue") or options.get("routing_key")
    return None if queue is None else str(getattr(queue, "name", queue))


def _moment(eta: datetime | str | None, seconds: float | None, name: str) -> datetime | None:
    if seconds is not None:
        return datetime.now(UTC) + timedelta(seconds=_seconds(seconds, name))
    if isinstance(eta, str):
        return _iso(eta, "eta")
    return _utc(eta, "eta")


def _expiry(expires: datetime | str | float | None) -> datetime | None:
    if isinstance(expires, int | float):
        return datetime.now(UTC) + timedelta(seconds=_seconds(expires, "expires"))
    if isinstance(expires, str):
        return _iso(expires, "expires")
    return _utc(expires, "expires")


def _utc(moment: Any, name: str) -> datetime | None:
    """Celery reads naive times as UTC (`enable_utc`), so its options are read the same way."""
    if moment is not None and not isinstance(moment, datetime):
        raise BadArgumentsError(f"{name} {moment!r} is no datetime; for example 2030-01-31T12:00Z")
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=UTC)


def _iso(text: str, name: str) -> datetime | None:
    try:
        return _utc(datetime.fromisoformat(text), name)
    except ValueError:
        raise BadArgumentsError(f"{name} {text!r} is not an ISO 8601 time") from None


def _seconds(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
        raise BadArgumentsError(f"{name} {value!r} is not a number of seconds")
    return float(value)
