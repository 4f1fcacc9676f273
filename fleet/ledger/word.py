"""What a site's agent is told in the answer to its heartbeat, beside its mail."""

from datetime import datetime
from typing import Any

from fleet.models import FleetState, Maintenance, Site
from fleet.policy.recovery import Stage, share

CANARY_SHARE = 0.01


def word_to(site: Site, now: datetime) -> dict[str, Any]:
    """The fleet's epoch, the other sites' rows with their ages, and how much it may take."""
    state = FleetState.objects.filter(pk=1).first()
    others = Site.objects.exclude(pk=site.pk).exclude(row_at=None)
    return {
        "epoch": state.epoch if state else 0,
        "rows": [_row(other, now) for other in others if other.row],
        "intake": _intake(site, now),
        "maintenance_left_s": _maintenance_left_s(site, now),
    }


def _row(site: Site, now: datetime) -> dict[str, Any]:
    age_s = (now - (site.row_at or now)).total_seconds()
    return {**site.row, "age_ms": max(0, round(age_s * 1000))}


def _maintenance_left_s(site: Site, now: datetime) -> float:
    stop = Maintenance.objects.filter(site=site, ended_at=None, until__gt=now).first()
    return (stop.until - now).total_seconds() if stop else 0.0


def _intake(site: Site, now: datetime) -> dict[str, Any] | None:
    """A site that returns takes its share step by step, one that stops as planned takes
    nothing more, one that never left takes all."""
    if Maintenance.objects.filter(site=site, ended_at=None, until__gt=now).exists():
        return {"share": 0.0, "pinned_only": False, "reason": "planned stop: running tasks finish"}
    if not site.recovery:
        return None
    stage = Stage(site.recovery)
    return {
        # One task at a time is the least: a canary names the site.
        "share": share(stage) or (CANARY_SHARE if stage is Stage.CANARY else 0.0),
        "pinned_only": stage is Stage.CANARY,
        "reason": f"{stage.value}: {site.recovery_reason}"[:300],
    }
