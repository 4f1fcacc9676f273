"""Everything on the fleet's page, read with a fixed number of queries."""

from dataclasses import dataclass
from datetime import datetime

from fleet.models import BrokerView, FleetState, TaskRun
from fleet.views.facts.happened import Happening, happenings, refused_in_24_h
from fleet.views.facts.links import Matrix, matrix
from fleet.views.facts.mode import Mode, mode
from fleet.views.facts.queues import QueueFacts, queue_facts
from fleet.views.facts.runs import RunRow, for_list, run_rows
from fleet.views.facts.sites import SiteFacts, load_sites, site_facts
from fleet.views.facts.standby import StandbyFacts, standby_facts
from fleet.views.facts.workers import WorkerFacts, load_workers

RUNS_SHOWN = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetFacts:
    mode: Mode
    sites: tuple[SiteFacts, ...]
    matrix: Matrix
    queues: tuple[QueueFacts, ...]
    broker_seen_at: datetime | None
    unacked: int
    runs: tuple[RunRow, ...]
    workers: tuple[WorkerFacts, ...]
    refused_24_h: int
    happened: tuple[Happening, ...]
    standby: StandbyFacts | None

    @property
    def empty(self) -> bool:
        """Whether nothing at all has reported yet."""
        return not self.workers and not any(site.health.since for site in self.sites)


def fleet_facts(now: datetime) -> FleetFacts:
    """The fleet as the ledger knows it at `now`."""
    sites = load_sites()
    workers = load_workers(now)
    view = broker_view()
    cards = site_facts(sites, workers, now)
    newest = list(for_list(TaskRun.objects.order_by("-enqueued_at", "-id"))[:RUNS_SHOWN])
    return FleetFacts(
        mode=mode(cards, view, FleetState.objects.filter(pk=1).first(), now),
        sites=cards,
        matrix=matrix(sites, now),
        queues=queue_facts(view, workers, now),
        broker_seen_at=view.seen_at,
        unacked=view.unacked,
        runs=run_rows(newest, view, now),
        workers=workers,
        refused_24_h=refused_in_24_h(now),
        happened=happenings(),
        standby=standby_facts(),
    )


def broker_view() -> BrokerView:
    """What the control loop last saw, or an empty view before it ever looked."""
    return BrokerView.objects.filter(pk=1).first() or BrokerView()
