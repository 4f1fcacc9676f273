"""Flower's handlers where ours must differ: queues, refused calls, who asks, its metrics."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

from django.db import InterfaceError, OperationalError, close_old_connections
from flower.api.tasks import BaseTaskHandler, GetQueueLengths, TaskApply, TaskAsyncApply, TaskSend
from flower.urls import handlers
from flower.views.broker import BrokerView
from flower.views.monitor import Metrics
from tornado.web import HTTPError, authenticated

from fleet.control.flower_user import caller_of
from fleet.ledger.acceptor import called_by
from fleet.policy import routing
from fleet.policy.errors import (
    FleetError,
    KeyConflictError,
    NetworkError,
    RefusedError,
    StorageError,
    TooLargeError,
    UnknownNameError,
)
from tasks import app
from tasks.home.broker import RedisBroker
from tasks.settings import settings

#: What the fleet understands of a call's options. Celery would drop all others in silence.
OPTIONS = frozenset(
    {"site", "queue", "routing_key", "priority", "eta", "countdown", "expires"}
    | {"idempotency_key", "group_id", "task_id", "chain", "chord", "link", "link_error"}
)
#: The status of a refusal: the first class that fits.
_STATUS: tuple[tuple[type[FleetError], int], ...] = (
    (UnknownNameError, 404),
    (TooLargeError, 413),
    (KeyConflictError, 409),
    (RefusedError, 422),
    (FleetError, 503),
)


class FleetQueues:
    """Every queue of the fleet and its depth, asked of the broker's present master."""

    async def queues(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Rows as Flower shows them; raises NetworkError when no master answers."""
        depths = await asyncio.get_running_loop().run_in_executor(None, self._depths, names)
        return [{"name": name, "messages": depth} for name, depth in depths.items()]

    def _depths(self, names: Sequence[str]) -> dict[str, int]:
        return RedisBroker(app, settings().broker).depths(names)


class _QueuesMixin:
    """Flower itself would ask the first Sentinel only, and without a login."""

    def get_broker(self) -> FleetQueues:
        return FleetQueues()

    def get_active_queue_names(self) -> list[str]:
        return list(routing.all_queues(settings().sites))


class FleetBrokerView(_QueuesMixin, BrokerView):  # type: ignore[misc]
    """The page of the broker."""


class FleetQueueLengths(_QueuesMixin, GetQueueLengths):  # type: ignore[misc]
    """The same for programs."""

    @authenticated
    async def get(self) -> None:
        try:
            await super().get()
        except NetworkError as error:
            raise HTTPError(503, str(error)) from None


class _CallsMixin(BaseTaskHandler):  # type: ignore[misc]
    """Calls carry the name of who asks, and a refusal its reason."""

    def get_task_args(self) -> tuple[Any, Any, dict[str, Any]]:
        """Arguments and options; raises HTTPError (400) for an option that nobody knows."""
        args, kwargs, options = super().get_task_args()
        unknown = sorted(options.keys() - OPTIONS)
        if unknown:
            known = ", ".join(sorted(OPTIONS))
            raise HTTPError(400, f"unknown option {', '.join(unknown)}; known: {known}")
        return args, kwargs, options

    def normalize_options(self, options: dict[str, Any]) -> None:
        """Leave times as they came: the fleet's own door reads and refuses them."""

    async def run_blocking(
        self, operation: str, target: str, func: Callable[..., Any], *args: Any, **options: Any
    ) -> Any:
        """As Flower's, but a call that the fleet refuses is no failure of Flower."""
        work = partial(_answer, caller_of(self.request.headers), func)
        found = await super().run_blocking(operation, target, work, *args, **options)
        if isinstance(found, FleetError):
            _refuse(found)
        return found


class FleetAsyncApply(_CallsMixin, TaskAsyncApply):  # type: ignore[misc]
    """Make a run of a task that Flower knows."""


class FleetSend(_CallsMixin, TaskSend):  # type: ignore[misc]
    """Make a run of a task by its name."""


class FleetApply(TaskApply):  # type: ignore[misc]
    """Waiting for a result would hold one of Flower's few threads for as long as the task runs."""

    @authenticated
    async def post(self, taskname: str) -> None:
        raise HTTPError(
            422,
            "Flower does not wait for results here, so nothing was started. Post the same to "
            f"/flower/api/task/async-apply/{taskname} and look at /api/v1/tasks/<task-id>.",
        )


class FleetMetrics(Metrics):  # type: ignore[misc]
    """Metrics name tasks and workers, so they need Flower's password like all the rest."""

    @authenticated
    async def get(self) -> None:
        await super().get()


_OURS: dict[type, type] = {
    BrokerView: FleetBrokerView,
    GetQueueLengths: FleetQueueLengths,
    TaskAsyncApply: FleetAsyncApply,
    TaskSend: FleetSend,
    TaskApply: FleetApply,
    Metrics: FleetMetrics,
}


def install() -> None:
    """Put our handlers in the place of Flower's; call it before Flower starts."""
    for position, entry in enumerate(handlers):
        if isinstance(entry, tuple):
            handlers[position] = (entry[0], _OURS.get(entry[1], entry[1]), *entry[2:])
        else:
            entry.handler_class = _OURS.get(entry.handler_class, entry.handler_class)


def _answer(caller: str, work: Callable[..., Any], /, *args: Any, **options: Any) -> Any:
    """What `work` returns, or the fleet's refusal as a value; in a thread of Flower's."""
    try:
        with called_by(caller):
            return work(*args, **options)
    except FleetError as error:
        return error
    except (OperationalError, InterfaceError):
        return StorageError("the ledger cannot be reached; nothing was written")
    finally:
        close_old_connections()


def _refuse(error: FleetError) -> NoReturn:
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    raise HTTPError(status, str(error))
