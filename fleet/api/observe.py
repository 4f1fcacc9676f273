"""Workers, sites and queues, each with the age of what is said about it."""

from datetime import datetime

from django.utils import timezone
from ninja import Router

from fleet.api.ages import age_s
from fleet.api.auth import ApiRequest, reader
from fleet.api.fleet_schemas import JournalOut, QueuesOut, SiteOut, SitesOut, WorkerOut, WorkersOut
from fleet.api.queues import broker_out, queue_rows
from fleet.api.schemas import ProblemOut
from fleet.models import BrokerView, Journal, Site, Worker
from fleet.policy import liveness
from fleet.policy.liveness import Liveness

router = Router(auth=reader)
_ERRORS = frozenset({401, 403, 503})


@router.get("/workers", response={200: WorkersOut, _ERRORS: ProblemOut}, summary="List workers")
def workers(request: ApiRequest) -> WorkersOut:
    """Dead ones stay listed; `liveness` and `reason` say so."""
    now = timezone.now()
    return WorkersOut(at=now, items=[worker_out(worker, now) for worker in Worker.objects.all()])


@router.get("/sites", response={200: SitesOut, _ERRORS: ProblemOut}, summary="List sites")
def sites(request: ApiRequest) -> SitesOut:
    """Each with its boxes' journals and how many of its workers are alive."""
    now = timezone.now()
    found = Site.objects.prefetch_related("workers", "journals")
    return SitesOut(at=now, items=[site_out(site, now) for site in found])


@router.get("/queues", response={200: QueuesOut, _ERRORS: ProblemOut}, summary="List queues")
def queues(request: ApiRequest) -> QueuesOut:
    """The broker's depth is as old as `broker.age_s`; the other counts are the ledger's, now."""
    now = timezone.now()
    view = BrokerView.objects.first() or BrokerView()
    rows = queue_rows(view, list(Worker.objects.all()), now)
    return QueuesOut(at=now, broker=broker_out(view, now), items=rows)


def worker_out(worker: Worker, now: datetime) -> WorkerOut:
    """A worker with its verdict."""
    verdict = worker.verdict(now)
    return WorkerOut.model_validate(
        {
            **{
                name: getattr(worker, name)
                for name in WorkerOut.model_fields
                if hasattr(worker, name)
            },
            "site": worker.site_id,
            "liveness": verdict.liveness,
            "reason": verdict.reason,
            "age_s": age_s(worker.last_seen_at, now),
        }
    )


def site_out(site: Site, now: datetime) -> SiteOut:
    """A site with its verdict; `workers` and `journals` should be prefetched."""
    at_site = list(site.workers.all())
    age = age_s(site.last_seen_at, now)
    verdict = liveness.verdict(age)
    alive = [w for w in at_site if w.verdict(now).liveness is Liveness.ALIVE]
    return SiteOut(
        name=site.name,
        number=site.number,
        title=site.title,
        note=site.note,
        capabilities=site.capabilities,
        last_seen_at=site.last_seen_at,
        age_s=age,
        liveness=verdict.liveness,
        reason=verdict.reason,
        workers=len(at_site),
        workers_alive=len(alive),
        observations=site.observations,
        journals=[_journal_out(journal, now) for journal in site.journals.all()],
    )


def _journal_out(journal: Journal, now: datetime) -> JournalOut:
    return JournalOut(
        id=journal.id,
        box=journal.box,
        acked_seq=journal.acked_seq,
        pending=journal.pending,
        trouble=journal.trouble,
        last_report_at=journal.last_report_at,
        age_s=age_s(journal.last_report_at, now),
        metrics=journal.metrics,
        metrics_age_s=age_s(journal.metrics_at, now),
    )
