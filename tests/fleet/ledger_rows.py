"""What the tests of the ledger share: runs, attempts, and the reports of sites."""

import itertools
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from fleet.ledger.enqueue import accept
from fleet.ledger.ingest import ingest
from fleet.ledger.store import LedgerStore
from fleet.models import Attempt, Site, TaskRun
from tasks.app import app
from tasks.call import make_call
from tasks.home.store import Dispatch
from tasks.wire import Ack, Entry, EntryKind, Heartbeat, Outcome, OutcomeStatus, Report

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
WORKER = "celery@mini-1"


def enqueue(task: str = "canary.echo", args: Any = ("x",), **options: Any) -> TaskRun:
    """An accepted run of the control plane."""
    return accept(app, make_call(app, task, list(args), **options), by="test").run


def publish(run: TaskRun, queue: str = "dev", now: datetime = NOW) -> Dispatch:
    """Give the run an attempt that is in the broker."""
    store = LedgerStore()
    (dispatch,) = store.open_attempts([(str(run.pk), queue)], now)
    store.mark_published([dispatch.token], now)
    run.refresh_from_db()
    return dispatch


def attempt_of(run: TaskRun) -> Attempt:
    return Attempt.objects.get(token=run.token)


class Box:
    """A box of a site: numbers the lines of its journal and reports them."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.journal = uuid.uuid4()
        self._seq = itertools.count(1)

    def line(self, kind: EntryKind, run: TaskRun | None = None, **fields: Any) -> Entry:
        """The next line; of the run's current attempt unless told otherwise."""
        values: dict[str, Any] = {"seq": next(self._seq), "kind": kind, "at": NOW}
        if run is not None:
            values |= {
                "run_id": str(run.pk),
                "token": run.token,
                "attempt": run.attempts,
                "home": "control",
                "task": run.task,
                "worker_id": WORKER,
            }
        return Entry(**(values | fields))

    def claimed(self, run: TaskRun, **fields: Any) -> Entry:
        return self.line(EntryKind.CLAIMED, run, **fields)

    def finished(self, run: TaskRun, value: Any = "done", **fields: Any) -> Entry:
        outcome = Outcome(status=OutcomeStatus.SUCCESSFUL, return_value=value)
        return self.line(
            EntryKind.FINISHED, run, **({"payload": outcome.model_dump(mode="json")} | fields)
        )

    def failed(self, run: TaskRun, *, transient: bool, **outcome_fields: Any) -> Entry:
        error = {"kind": "NetworkError", "message": "no answer", "transient": transient}
        outcome = Outcome(status=OutcomeStatus.FAILED, error=error, **outcome_fields)
        return self.line(EntryKind.FINISHED, run, payload=outcome.model_dump(mode="json"))

    def lost(self, run: TaskRun) -> Entry:
        return self.line(EntryKind.LOST, run, payload={"why": "process 7 ended in the task"})

    def report(self, *entries: Entry, **fields: Any) -> Report:
        first = entries[0].seq if entries else 1
        values: dict[str, Any] = {
            "site": self.site.pk,
            "box": "mini-1",
            "journal": self.journal,
            "first_seq": first,
            "entries": list(entries),
        }
        return Report(**(values | fields))

    def send(self, *entries: Entry, now: datetime = NOW, **fields: Any) -> Ack:
        if fields.get("heartbeat") is not None:
            # The box's clock is seven seconds ahead: never to be taken for the control plane's.
            written = {"at": now + timedelta(seconds=7)}
            fields["heartbeat"] = fields["heartbeat"].model_copy(update=written)
        return ingest(self.site, self.report(*entries, **fields), now)


def heartbeat(**fields: Any) -> Heartbeat:
    return Heartbeat(**({"at": NOW} | fields))


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)
