"""Calls of fleet tasks in a Django process are accepted by the ledger."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar
from uuid import UUID

from celery import Celery
from django.db import close_old_connections, transaction

from fleet.ledger import operate
from fleet.ledger.enqueue import Accepted, accept, accept_many
from fleet.models import TaskRun
from fleet.policy.errors import RefusedError
from fleet.policy.states import RunStatus
from tasks.call import Call
from tasks.handle import RunHandle, Snapshot

T = TypeVar("T")
#: Longest name of a caller that the ledger keeps.
MAX_CALLER_CHARS = 120
_caller: ContextVar[str] = ContextVar("caller", default="")


@contextmanager
def called_by(name: str) -> Iterator[None]:
    """Calls that are made inside are asked for by `name`, such as "schedule nightly"."""
    token = _caller.set(name[:MAX_CALLER_CHARS])
    try:
        yield
    finally:
        _caller.reset(token)


class LedgerAcceptor:
    """`by` names the caller in the run's first event, where `called_by` names nobody."""

    def __init__(self, app: Celery, by: str = "program") -> None:
        self._app = app
        self._by = by

    def accept(self, call: Call) -> RunHandle:
        """Write the run in the caller's transaction."""
        by = _caller.get() or self._by
        accepted = _outside_loop(lambda: accept(self._app, call, by=by))
        return self._handle(accepted)

    def accept_many(self, calls: Sequence[Call]) -> list[RunHandle]:
        """Write all runs or none."""
        by = _caller.get() or self._by
        done = _outside_loop(lambda: accept_many(self._app, calls, by=by))
        return [self._handle(accepted) for accepted in done]

    def reader(self) -> "LedgerReader":
        return LedgerReader()

    def _handle(self, accepted: Accepted) -> RunHandle:
        return RunHandle(
            str(accepted.run.pk), app=self._app, reader=LedgerReader(), created=accepted.created
        )


class LedgerReader:
    """Answers a handle's questions from the ledger."""

    def snapshot(self, run_id: str) -> Snapshot:
        fields = ("status", "reason", "return_value", "result_meta", "error")
        row = TaskRun.objects.values(*fields).get(pk=UUID(run_id))
        return Snapshot(status=RunStatus(row.pop("status")), **row)

    def before_wait(self) -> None:
        if transaction.get_connection().in_atomic_block:
            raise RefusedError(
                "this would wait inside a database transaction, and the run is not published "
                "before it commits; call .get() after the `atomic` block"
            )

    def cancel(self, run_id: str) -> None:
        operate.cancel(run_id, who=_caller.get() or "program")


def _outside_loop(work: Callable[[], T]) -> T:
    """Run database work; in a thread when the caller is inside an event loop (as Flower is)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()

    def in_thread() -> T:
        try:
            return work()
        finally:
            close_old_connections()

    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(in_thread).result()
