"""What a box last said of itself: workers, host, links, broker. Only the newest is kept."""

from datetime import datetime

from fleet.models import Attempt, Journal, Site, Worker
from fleet.policy.states import AttemptStatus
from tasks.wire import Heartbeat, WorkerState


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
        site.observations = {"links": beat.links, "broker": beat.broker, "at": now.isoformat()}
        for state in beat.workers:
            _take_worker(site, journal.box, state, now)
        tokens = [token for _, token in beat.running]
        if tokens:
            Attempt.objects.filter(token__in=tokens, status=AttemptStatus.RUNNING).update(
                seen_at=now
            )
    journal.save()
    site.save(update_fields=("last_seen_at", "observations"))


def _take_worker(site: Site, box: str, state: WorkerState, now: datetime) -> None:
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
