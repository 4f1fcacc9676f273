"""The Celery application: every road to `send_task` ends in one acceptor."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

from celery import Celery, Signature

from tasks.call import Call, call_from_celery
from tasks.handle import HomeReader, RunHandle
from tasks.transport import install_transport

install_transport()


class Acceptor(Protocol):
    """Where calls of this process are accepted: the ledger or a site's journal."""

    def accept(self, call: Call) -> Any:
        """Make the call durable and return its result handle; raise FleetError if refused."""
        ...

    def accept_many(self, calls: Sequence[Call]) -> list[Any]:
        """Make all calls durable, or none of them."""
        ...

    def reader(self) -> HomeReader:
        """Where handles ask for the state of a run."""
        ...


class FleetCelery(Celery):  # type: ignore[misc]
    """Celery whose calls are accepted by a home first; only a relay speaks to the broker.

    `.delay`, `.apply_async`, signatures, `celery beat`, Flower's API and `send_task` all end
    in `send_task`, so overriding it closes every road at once.
    """

    amqp_cls = "tasks.transport:FleetAMQP"
    events_cls = "tasks.events:FleetEvents"
    acceptor: Acceptor | None = None

    def send_task(
        self,
        name: str,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Accept a call of the task `name`; returns the acceptor's result handle.

        Raises UnknownNameError, BadArgumentsError, TooLargeError or RefusedError (also where this
        process has no home); nothing was written then.
        """
        self.finalize(auto=True)
        call = call_from_celery(self, name, args, kwargs, options)
        return self.home().accept(call)

    def enqueue_many(self, signatures: Iterable[Signature]) -> list[Any]:
        """Accept thousands of calls in one go, all of them or none; handles in the same order.

        `app.enqueue_many(git_log.s(url) for url in urls)`; options of the signatures count.
        """
        self.finalize(auto=True)
        calls = [call_from_celery(self, s.task, s.args, s.kwargs, s.options) for s in signatures]
        return self.home().accept_many(calls)

    @cached_property
    def AsyncResult(self) -> type[RunHandle]:  # noqa: N802 - Celery's own name
        """`app.AsyncResult(run_id)` is a handle like those that calls return."""
        return self.subclass_with_self("tasks.handle:RunHandle")  # type: ignore[no-any-return]

    def home(self) -> Acceptor:
        """The acceptor of this process; opens the site's journal where none was set."""
        if self.acceptor is None:
            self.acceptor = _default_acceptor(self)
        return self.acceptor


def _default_acceptor(app: FleetCelery) -> Acceptor:
    from tasks.producer import journal_acceptor

    return journal_acceptor(app)


app = FleetCelery(
    "tasks",
    task_cls="tasks.base:FleetTask",
    config_source="tasks.celeryconfig",
    include=[
        "tasks.canary",
        "tasks.dev",
        "tasks.network",
        "tasks.openwrt",
        "tasks.udm",
        "tasks.worker",
    ],
)
