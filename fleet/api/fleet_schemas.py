"""What the API says about workers, sites and queues."""

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Schema

from fleet.policy.liveness import Liveness


class WorkerOut(Schema):
    """A Celery worker as its box's agent last reported it; `age_s` is how long ago, seconds."""

    id: str
    site: str
    box: str
    capabilities: list[str]
    queues: list[str]
    slots: int
    busy: int
    pid: int | None
    version: str
    started_at: datetime | None
    last_seen_at: datetime | None
    stopped_at: datetime | None
    liveness: Liveness
    reason: str
    age_s: float | None


class WorkersOut(Schema):
    """All workers, as of `at`."""

    at: datetime
    items: list[WorkerOut]


class JournalOut(Schema):
    """A box's journal: what it has not reported yet, and the host's last metrics."""

    id: UUID
    box: str
    acked_seq: int
    pending: int
    trouble: str
    last_report_at: datetime | None
    age_s: float | None
    metrics: dict[str, Any]
    metrics_age_s: float | None


class SiteOut(Schema):
    """A site; its liveness is judged by the age of its agent's last report."""

    name: str
    number: int
    title: str
    note: str
    capabilities: list[str]
    last_seen_at: datetime | None
    age_s: float | None
    liveness: Liveness
    reason: str
    workers: int
    workers_alive: int
    observations: dict[str, Any]
    journals: list[JournalOut]


class SitesOut(Schema):
    """All sites, as of `at`."""

    at: datetime
    items: list[SiteOut]


class BrokerOut(Schema):
    """The broker as the control plane last saw it, `age_s` seconds ago."""

    master: str
    seen_at: datetime | None
    age_s: float | None
    away_since: datetime | None
    away_reason: str
    unacked: int


class ServerOut(Schema):
    """A worker that takes from a queue."""

    id: str
    liveness: Liveness
    age_s: float | None


class QueueOut(Schema):
    """A queue. `depth` is null when the broker was never seen; `waiting` counts runs that have
    no attempt under way, `published` those that a worker has yet to claim.
    """

    name: str
    capability: str
    site: str | None
    depth: int | None
    waiting: int
    published: int
    running: int
    oldest_age_s: float | None
    served_by: list[ServerOut]


class QueuesOut(Schema):
    """All queues that hold or could take something, as of `at`."""

    at: datetime
    broker: BrokerOut
    items: list[QueueOut]
