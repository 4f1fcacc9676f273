"""The sites: verdict, boxes, workers, role of their Redis, and who hears whom."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fleet.models import Journal, Site
from fleet.views.facts import reported
from fleet.views.facts.health import SITE_WORDS, Health, judged
from fleet.views.facts.verdicts import VerdictFacts, verdict_facts
from fleet.views.facts.workers import WorkerFacts
from fleet.views.words import site_label


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxFacts:
    """A box as its agent last described it. Temperatures in degrees Celsius."""

    name: str
    cpu_percent: float | None
    cpu_count: float | None
    memory_percent: float | None
    memory_total_bytes: float | None
    disk_percent: float | None
    disk_free_bytes: float | None
    load_1: float | None
    temperature_c: float | None
    metrics_at: datetime | None
    pending: int
    reported_at: datetime | None
    trouble: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisFacts:
    """What the site's agent said of the site's Redis and Sentinel; `unsafe` has a sentence for
    each setting with which two masters could take writes, or none be elected."""

    role: str
    master: str | None
    lag_bytes: float | None
    sentinel_others: float | None
    seen_at: datetime | None
    unsafe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFacts:
    name: str
    label: str
    title: str
    note: str
    health: Health
    verdict: VerdictFacts | None
    capabilities: tuple[str, ...]
    boxes: tuple[BoxFacts, ...]
    redis: RedisFacts | None
    workers_known: int
    workers_alive: int
    slots: int
    busy: int

    @property
    def stale(self) -> bool:
        """Whether what is said below the verdict is old."""
        return not self.health.alive


def load_sites() -> list[Site]:
    """All sites with their journals: two queries."""
    return list(Site.objects.prefetch_related("journals"))


def site_facts(
    sites: Iterable[Site], workers: Sequence[WorkerFacts], now: datetime
) -> tuple[SiteFacts, ...]:
    """One card a site, in the order of their names."""
    return tuple(_site(site, [w for w in workers if w.site == site.name], now) for site in sites)


def _site(site: Site, workers: Sequence[WorkerFacts], now: datetime) -> SiteFacts:
    alive = [worker for worker in workers if worker.health.alive]
    return SiteFacts(
        name=site.name,
        label=site_label(site.name),
        title=site.title if site.title.lower() != site.name else "",
        note=site.note,
        health=judged(site.last_seen_at, now, SITE_WORDS),
        verdict=verdict_facts(site, now),
        capabilities=tuple(map(str, site.capabilities or ())),
        boxes=tuple(_box(journal) for journal in site.journals.all()),
        redis=_redis(reported.table(site.observations), site.last_seen_at),
        workers_known=sum(worker.health.tone != "off" for worker in workers),
        workers_alive=len(alive),
        slots=sum(worker.slots for worker in alive),
        busy=sum(worker.busy for worker in alive),
    )


def _box(journal: Journal) -> BoxFacts:
    metrics = reported.table(journal.metrics)
    return BoxFacts(
        name=journal.box,
        cpu_percent=reported.number(metrics, "cpu_percent"),
        cpu_count=reported.number(metrics, "cpu_count"),
        memory_percent=reported.number(metrics, "memory_percent"),
        memory_total_bytes=reported.number(metrics, "memory_total_bytes"),
        disk_percent=reported.number(metrics, "disk_percent"),
        disk_free_bytes=reported.number(metrics, "disk_free_bytes"),
        load_1=reported.number(metrics, "load_1"),
        temperature_c=reported.number(metrics, "temperature_c"),
        metrics_at=journal.metrics_at,
        pending=journal.pending,
        reported_at=journal.last_report_at,
        trouble=journal.trouble,
    )


def _redis(observations: Mapping[str, Any], seen_at: datetime | None) -> RedisFacts | None:
    broker = reported.table(observations.get("broker"))
    role = reported.text(broker, "role")
    if role is None:
        return None
    return RedisFacts(
        role=role,
        master=reported.text(broker, "master"),
        lag_bytes=reported.number(broker, "lag_bytes"),
        sentinel_others=reported.number(broker, "sentinel_others"),
        seen_at=reported.moment(observations, "at") or seen_at,
        unsafe=tuple(map(str, broker.get("unsafe") or ())),
    )
