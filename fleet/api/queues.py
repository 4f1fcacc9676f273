"""What each queue holds, by the broker and by the ledger, and who takes from it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min

from fleet.api.ages import age_s
from fleet.api.fleet_schemas import BrokerOut, QueueOut, ServerOut
from fleet.models import BrokerView, TaskRun, Worker
from fleet.policy import routing
from fleet.policy.states import UNFINISHED, RunStatus


@dataclass(slots=True)
class _Counts:
    waiting: int = 0
    published: int = 0
    running: int = 0
    oldest: datetime | None = None


def queue_rows(view: BrokerView, workers: Sequence[Worker], now: datetime) -> list[QueueOut]:
    """Every queue that holds something, is in the broker, or has a worker."""
    counts = _ledger_counts()
    served = {name for worker in workers for name in worker.queues}
    names = sorted({*counts, *view.queues, *served})
    return [_row(name, view, counts.get(name, _Counts()), workers, now) for name in names]


def broker_out(view: BrokerView, now: datetime) -> BrokerOut:
    """The broker and the age of what is known of it."""
    return BrokerOut(
        master=view.master,
        seen_at=view.seen_at,
        age_s=age_s(view.seen_at, now),
        away_since=view.away_since,
        away_reason=view.away_reason,
        unacked=view.unacked,
    )


def _ledger_counts() -> Mapping[str, _Counts]:
    rows = (
        TaskRun.objects.filter(status__in=UNFINISHED)
        .values("queue_name", "status", "open_attempt")
        .annotate(count=Count("id"), oldest=Min("enqueued_at"))
        .order_by()
    )
    counts: dict[str, _Counts] = defaultdict(_Counts)
    for row in rows:
        found = counts[row["queue_name"]]
        if row["status"] == RunStatus.RUNNING:
            found.running += row["count"]
            continue
        if row["open_attempt"]:
            found.published += row["count"]
        else:
            found.waiting += row["count"]
        found.oldest = min(filter(None, (found.oldest, row["oldest"])))
    return counts


def _row(
    name: str, view: BrokerView, counts: _Counts, workers: Sequence[Worker], now: datetime
) -> QueueOut:
    capability, site = routing.split_queue(name)
    return QueueOut(
        name=name,
        capability=capability,
        site=site,
        depth=_depth(view, name),
        waiting=counts.waiting,
        published=counts.published,
        running=counts.running,
        oldest_age_s=age_s(counts.oldest, now),
        served_by=[_server(worker, now) for worker in workers if name in worker.queues],
    )


def _depth(view: BrokerView, name: str) -> int | None:
    if view.seen_at is None:
        return None
    return int(view.queues.get(name, {}).get("depth", 0))


def _server(worker: Worker, now: datetime) -> ServerOut:
    verdict = worker.verdict(now)
    return ServerOut(id=worker.id, liveness=verdict.liveness, age_s=age_s(worker.last_seen_at, now))
