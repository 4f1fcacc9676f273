"""The queues: what the broker holds, what waits in the ledger, who can serve it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db.models import Count, Min, Q

from fleet.models import BrokerView, TaskRun
from fleet.policy import routing
from fleet.policy.states import UNFINISHED, RunStatus
from fleet.views.facts import reported
from fleet.views.facts.workers import WorkerFacts
from fleet.views.words import listed, plural, site_label


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFacts:
    """`depth` counts messages in the broker, None where nobody looked; `waiting` runs that are
    due in the ledger, `later` those that are held back, `oldest_at` when the oldest came."""

    name: str
    depth: int | None
    waiting: int = 0
    published: int = 0
    later: int = 0
    running: int = 0
    oldest_at: datetime | None = None
    servers: str = ""
    served: bool = False

    @property
    def stuck(self) -> bool:
        """Whether something waits that nobody can take."""
        return not self.served and bool(self.waiting or self.published or self.depth)


@dataclass(frozen=True, slots=True)
class _Counts:
    values: Mapping[str, Any] = field(default_factory=dict)

    def count(self, key: str) -> int:
        return int(self.values.get(key) or 0)


def queue_facts(
    view: BrokerView, workers: Sequence[WorkerFacts], now: datetime
) -> tuple[QueueFacts, ...]:
    """Capabilities that a live worker has, and every queue that holds something: one query."""
    counts = _ledger_counts(now)
    depths = {name: _depth(view, name) for name in view.queues}
    offered = {capability for worker in workers for capability in worker.capabilities}
    held = {name for name, depth in depths.items() if depth}
    names = sorted({*counts, *held, *offered})
    return tuple(_queue(name, view, counts.get(name, _Counts()), workers) for name in names)


def _ledger_counts(now: datetime) -> dict[str, _Counts]:
    ready = Q(status=RunStatus.READY)
    later = ready & Q(open_attempt=False, run_after__gt=now)
    due = ready & Q(open_attempt=False) & (Q(run_after__isnull=True) | Q(run_after__lte=now))
    published = ready & Q(open_attempt=True)
    rows = (
        TaskRun.objects.filter(status__in=UNFINISHED)
        .values("queue_name")
        .annotate(
            waiting=Count("pk", filter=due),
            published=Count("pk", filter=published),
            later=Count("pk", filter=later),
            running=Count("pk", filter=Q(status=RunStatus.RUNNING)),
            oldest=Min("enqueued_at", filter=due | published),
        )
        .order_by()
    )
    return {row["queue_name"]: _Counts(row) for row in rows}


def _queue(
    name: str, view: BrokerView, counts: _Counts, workers: Sequence[WorkerFacts]
) -> QueueFacts:
    facts = QueueFacts(
        name=name,
        depth=_depth(view, name),
        waiting=counts.count("waiting"),
        published=counts.count("published"),
        later=counts.count("later"),
        running=counts.count("running"),
        oldest_at=counts.values.get("oldest"),
    )
    able = [w for w in workers if w.health.alive and _serves(w, name)]
    return replace(facts, servers=_servers(name, able), served=bool(able))


def _serves(worker: WorkerFacts, queue: str) -> bool:
    return routing.can_serve(worker.capabilities, worker.site, queue)


def _servers(queue: str, able: Sequence[WorkerFacts]) -> str:
    if not able:
        capability, site = routing.split_queue(queue)
        where = f" at {site_label(site)}" if site else ""
        return f"nobody: needs a live worker with {capability}{where}"
    sites = Counter(worker.label for worker in able)
    return listed([f"{plural(count, 'worker')} at {site}" for site, count in sites.items()])


def _depth(view: BrokerView, name: str) -> int | None:
    """A queue that the broker does not have is empty, once somebody has looked."""
    if view.seen_at is None:
        return None
    return int(reported.number(reported.table(view.queues.get(name, {"depth": 0})), "depth") or 0)
