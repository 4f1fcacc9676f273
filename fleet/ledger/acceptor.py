"""Calls of fleet tasks in a Django process are accepted by the ledger."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
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


class LedgerAcceptor:
    """`by` names the caller in the run's first event."""

    def __init__(self, app: Celery, by: str = "program") -> None:
        self._app = app
        self._by = by

    def accept(self, call: Call) -> RunHandle:
        """Write the run in the caller's transaction."""
        accepted = _outside_loop(lambda: accept(self._app, call, by=self._by))
        return self._handle(accepted)

    def accept_many(self, calls: Sequence[Call]) -> list[RunHandle]:
        """Write all runs or none."""
        done = _outside_loop(lambda: accept_many(self._app, calls, by=self._by))
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
        operate.cancel(run_id, who="program")


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
