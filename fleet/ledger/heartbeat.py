"""What a box last said of itself: workers, host, links, broker. Only the newest is kept."""

from collections import defaultdict
from datetime import datetime

from fleet.models import Attempt, HomeMail, Journal, SecurityEvent, Site, Worker
from fleet.policy.states import AttemptStatus
from fleet.policy.tokens import home_of
from tasks.wire import Heartbeat, WorkerState

#: Mail that renews the leases of a home's runs elsewhere; only the newest of a site counts.
RUNNING = "running"


def take_heartbeat(
    site: Site, journal: Journal, beat: Heartbeat | None, acked: int, now: datetime
) -> None:
    """Store it under the control plane's own clock: a box's clock may be wrong."""
    journal.acked_seq = acked
    journal.last_report_at = now
    site.last_seen_at = now
    if beat is not None:
        journal.pending = beat.pending
        journal.trouble = beat.trouble[:300]
        journal.metrics, journal.metrics_at = beat.host, now
        _take_watch(site, beat, now)
        for state in beat.workers:
            _take_worker(site, journal.box, state, now)
        _renew_leases(site, [token for _, token in beat.running], now)
    journal.save()
    site.save(update_fields=("last_seen_at", "observations", "row", "row_at", "verdicts"))


def _take_watch(site: Site, beat: Heartbeat, now: datetime) -> None:
    """One box of a site looks at broker and links; the others say nothing of them."""
    if beat.links or beat.broker:
        site.observations = {
            "links": beat.links,
            "broker": beat.broker,
            "epoch": beat.epoch,
            "mode": beat.mode,
            "clock_offset_s": round((beat.at - now).total_seconds(), 3),
            "at": now.isoformat(),
        }
    if beat.row is not None:
        site.row, site.row_at = beat.row, now
    if beat.verdicts:
        site.verdicts = beat.verdicts


def _renew_leases(site: Site, tokens: list[int], now: datetime) -> None:
    """What a box works on is not lost; another site's home hears of its own runs by mail."""
    Attempt.objects.filter(token__in=tokens, status=AttemptStatus.RUNNING, site=site.pk).update(
        seen_at=now
    )
    foreign: defaultdict[int, list[int]] = defaultdict(list)
    for token in tokens:
        foreign[home_of(token)].append(token)
    for home in Site.objects.filter(number__in=foreign).exclude(pk=site.pk):
        HomeMail.objects.filter(site=home, kind=RUNNING, payload__at=site.pk).delete()
        HomeMail.objects.create(
            site=home,
            kind=RUNNING,
            created_at=now,
            payload={"at": site.pk, "tokens": foreign[home.number]},
        )


def _take_worker(site: Site, box: str, state: WorkerState, now: datetime) -> None:
    if Worker.objects.filter(pk=state.id).exclude(site=site).exists():
        SecurityEvent.objects.create(
            at=now,
            site=site.pk,
            worker_id=state.id,
            kind="foreign worker",
            detail="reports a worker of another site",
        )
        return
    values = {
        "site": site,
        "box": box,
        "capabilities": state.capabilities,
        "queues": state.queues,
        "slots": state.slots,
        "busy": state.busy,
        "pid": state.pid,
        "version": state.version,
        "started_at": state.started_at,
    }
    values |= {"last_seen_at": now, "stopped_at": None} if state.alive else {"busy": 0}
    worker, _ = Worker.objects.update_or_create(pk=state.id, defaults=values)
    if not state.alive and worker.stopped_at is None:
        Worker.objects.filter(pk=worker.pk).update(stopped_at=now)
