"""The workers, as their boxes' agents report them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from fleet.models import Worker
from fleet.policy.liveness import Liveness
from fleet.views.facts.health import Health, judged, stopped
from fleet.views.words import site_label

#: Workers that have been gone for longer are not shown; the admin keeps them.
FORGET_AFTER = timedelta(hours=24)
#: More rows than this would hide the rest of the page.
MAX_ROWS = 200

_WORDS = {
    Liveness.ALIVE: "alive",
    Liveness.SUSPECT: "suspect",
    Liveness.DEAD: "dead",
    Liveness.UNKNOWN: "unknown",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFacts:
    id: str
    site: str
    label: str
    box: str
    health: Health
    capabilities: tuple[str, ...]
    queues: tuple[str, ...]
    slots: int
    busy: int
    version: str
    started_at: datetime | None


def load_workers(now: datetime) -> tuple[WorkerFacts, ...]:
    """Workers heard of within FORGET_AFTER, and those never heard of: one query."""
    recent = Q(last_seen_at__isnull=True) | Q(last_seen_at__gte=now - FORGET_AFTER)
    found = Worker.objects.filter(recent).order_by("site_id", "id")
    return tuple(_facts(worker, now) for worker in found[:MAX_ROWS])


def _facts(worker: Worker, now: datetime) -> WorkerFacts:
    return WorkerFacts(
        id=worker.id,
        site=worker.site_id,
        label=site_label(worker.site_id),
        box=worker.box,
        health=_health(worker, now),
        capabilities=tuple(map(str, worker.capabilities)),
        queues=tuple(map(str, worker.queues)),
        slots=worker.slots,
        busy=worker.busy,
        version=worker.version,
        started_at=worker.started_at,
    )


def _health(worker: Worker, now: datetime) -> Health:
    if worker.stopped_at is not None:
        return stopped(worker.stopped_at)
    return judged(worker.last_seen_at, now, _WORDS)
