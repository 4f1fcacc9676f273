"""The options of Celery's calls: what they mean here, and which are refused.

An option is served, refused, or without any meaning here; none is dropped in silence.
"""

from collections.abc import Mapping
from typing import Any

from fleet.policy import routing
from fleet.policy.contracts import TaskContract
from fleet.policy.errors import BadArgumentsError, RefusedError
from tasks.moments import expiry_option, start_option

SERVED = (
    "countdown",
    "eta",
    "expires",
    "group_id",
    "idempotency_key",
    "priority",
    "queue",
    "routing_key",
    "site",
    "task_id",
)
#: Options that would need a result backend or a second message.
CANVAS_OPTIONS = ("chain", "chord", "link", "link_error")
#: How a message would be sent, and what Celery notes for itself: a relay sends, later.
TRAVEL = frozenset(
    {
        "add_to_parent",
        "connection",
        "delivery_mode",
        "group_index",
        "ignore_result",
        "parent_id",
        "producer",
        "publisher",
        "replaced_task_nesting",
        "reply_to",
        "result_cls",
        "retry",
        "retry_policy",
        "root_id",
        "route_name",
        "router",
        "task_type",
    }
)
_DECLARED = "the task declares it; leave it out"
_NEVER = "the fleet writes its messages itself; leave it out"
#: Options that would change what happens, and why they cannot.
FIXED = {
    "time_limit": _DECLARED,
    "soft_time_limit": _DECLARED,
    "retries": "the home of a run counts its attempts; leave it out",
    "serializer": "messages are JSON; leave it out",
    "shadow": "runs are shown under the name of their task; leave it out",
    "exchange": "there is one exchange; name a queue or a site",
    "headers": "the envelope carries nothing of the caller; pass it as an argument",
    **dict.fromkeys(
        ("argsrepr", "compression", "immediate", "kwargsrepr", "mandatory", "stamped_headers"),
        _NEVER,
    ),
}
#: What beat adds to each call of a schedule.
BEAT_HEADERS = {"celery_beat_task", "periodic_task_name"}
_KNOWN = frozenset((*SERVED, *CANVAS_OPTIONS, *TRAVEL, *FIXED))


def call_options(contract: TaskContract, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `make_call` that these options of `apply_async` mean.

    Raises UnknownNameError for an unknown option, BadArgumentsError or RefusedError for one that
    cannot be kept.
    """
    if not options.keys() <= _KNOWN:
        for option in options.keys() - _KNOWN:
            routing.known("option", option, SERVED)
    _refuse_canvas(contract.name, options)
    _refuse_fixed(contract, options)
    return {
        "site": options.get("site"),
        "queue": _queue(options.get("queue"), options.get("routing_key")),
        "priority": options.get("priority"),
        "run_after": start_option(options.get("eta"), options.get("countdown")),
        "expires_at": expiry_option(options.get("expires")),
        "idempotency_key": options.get("idempotency_key"),
        "group_id": options.get("group_id"),
        "task_id": options.get("task_id"),
    }


def _refuse_canvas(name: str, options: Mapping[str, Any]) -> None:
    used = [option for option in CANVAS_OPTIONS if options.get(option)]
    if used:
        raise RefusedError(
            f"{name}: {', '.join(used)} cannot be kept durable by the ledger, so chains, chords "
            "and links of fleet tasks are refused; enqueue the next task when `.get()` returns, "
            "or use a group"
        )


def _refuse_fixed(contract: TaskContract, options: Mapping[str, Any]) -> None:
    for option, why in FIXED.items():
        value = options.get(option)
        if value is not None and not _same(contract, option, value):
            raise BadArgumentsError(f"{contract.name}: {option} cannot be chosen: {why}")


def _same(contract: TaskContract, option: str, value: Any) -> bool:
    """Whether the option says what is so anyway: Celery repeats what a task declares."""
    if option == "time_limit":
        return bool(value == contract.time_limit_s)
    if option == "soft_time_limit":
        return bool(value == contract.soft_time_limit_s)
    if option == "headers":
        return isinstance(value, Mapping) and value.keys() <= BEAT_HEADERS
    return not value or (option, value) in (("serializer", "json"), ("shadow", contract.name))


def _queue(queue: Any, routing_key: Any) -> str | None:
    """A queue by its name; Celery's `routing_key` is another word for it."""
    names = [str(getattr(one, "name", one)) for one in (queue, routing_key) if one]
    if len(set(names)) > 1:
        raise BadArgumentsError(f"routing_key {names[1]!r} contradicts the queue {names[0]!r}")
    return names[0] if names else None
