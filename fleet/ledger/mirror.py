"""Runs whose home is a site: the control plane keeps a copy of what that site says."""

from typing import Any
from uuid import UUID

from fleet.models import Attempt, RunEvent, SecurityEvent, Site, TaskRun
from fleet.policy.states import RunStatus
from tasks.wire import Entry

_PLAIN = (
    "task",
    "args",
    "kwargs",
    "capability",
    "site",
    "queue_name",
    "priority",
    "effect",
    "max_attempts",
    "status",
    "reason",
    "idempotency_key",
    "content_digest",
    "enqueued_by",
    "group_id",
    "run_after",
    "expires_at",
    "enqueued_at",
    "last_attempted_at",
    "started_at",
    "finished_at",
    "attempts",
    "token",
    "open_attempt",
    "worker_id",
    "return_value",
    "result_meta",
    "error",
)


def take_mirror(site: Site, entry: Entry) -> None:
    """Store a site's own run as it now is, with the event that made it so."""
    run_id, run, event = UUID(entry.run_id), entry.payload["run"], entry.payload["event"]
    foreign = TaskRun.objects.filter(pk=run_id).exclude(home=site.pk)
    taken = Attempt.objects.filter(token=run.get("token", 0)).exclude(run_id=run_id)
    if foreign.exists() or taken.exists():
        SecurityEvent.objects.create(
            at=entry.at,
            site=site.pk,
            kind="foreign mirror",
            run_id=entry.run_id,
            detail="a copy of a run, or a token, that has another home",
        )
        return
    RunStatus(run["status"])
    values = {name: run[name] for name in _PLAIN if name in run}
    TaskRun.objects.update_or_create(pk=run_id, defaults={**values, "home": site.pk})
    _mirror_attempt(run_id, run)
    if event:
        RunEvent.objects.create(run_id=run_id, **event)


def _mirror_attempt(run_id: UUID, run: dict[str, Any]) -> None:
    if not run.get("token"):
        return
    Attempt.objects.update_or_create(
        token=run["token"],
        defaults={
            "run_id": run_id,
            "number": run["attempts"],
            "status": run["attempt_status"],
            "queue_name": run["attempt_queue"],
            "created_at": run["last_attempted_at"],
            "published_at": run["published_at"],
            "times_published": run["times_published"],
            "started_at": run["started_at"],
            "seen_at": run["seen_at"],
            "ended_at": run["finished_at"],
            "worker_id": run["worker_id"],
            "site": run["worker_site"],
        },
    )
