"""What happened lately: changes of runs that are out of the ordinary, and refused messages."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Max

from fleet.models import FleetEvent, RunEvent, SecurityEvent
from fleet.policy.states import RunEvent as Event
from fleet.views.words import site_label

SHOWN = 12
#: Only the newest changes are searched, so that a quiet fleet with a long history stays quick.
SEARCHED = 2_000
SECURITY_WINDOW = timedelta(hours=24)

_NOTABLE = {
    Event.FAIL: ("failed", "bad"),
    Event.RETRY_LATER: ("failed, tried again later", "warn"),
    Event.LOSE: ("was lost with its worker", "bad"),
    Event.BURY: ("needs a person", "bad"),
    Event.CANCEL: ("was cancelled", "off"),
    Event.EXPIRE: ("expired", "off"),
    Event.RETRY: ("was asked for again", "info"),
}

_DECIDED = {
    "up": "ok",
    "normal": "ok",
    "down": "bad",
    "failover": "bad",
    "minimal": "bad",
    "override": "bad",
    "suspect": "warn",
    "self-isolated": "bad",
    "unknown": "off",
}


@dataclass(frozen=True, slots=True)
class Happening:
    """`run_id` is None for what concerns no single run."""

    at: datetime
    what: str
    detail: str
    tone: str
    run_id: UUID | None = None


def happenings() -> tuple[Happening, ...]:
    """The newest first: four queries."""
    found = [*_changes(), *_refusals(), *_decisions()]
    return tuple(sorted(found, key=lambda item: item.at, reverse=True)[:SHOWN])


def refused_in_24_h(now: datetime) -> int:
    """How many security events the last 24 hours brought: one query."""
    return SecurityEvent.objects.filter(at__gte=now - SECURITY_WINDOW).count()


def _changes() -> list[Happening]:
    newest = RunEvent.objects.aggregate(newest=Max("pk"))["newest"] or 0
    found = (
        RunEvent.objects.filter(pk__gt=newest - SEARCHED, event__in=list(_NOTABLE))
        .order_by("-pk")
        .values_list("at", "event", "why", "run_id", "run__task")[:SHOWN]
    )
    return [_change(*values) for values in found]


def _change(at: datetime, event: str, why: str, run_id: UUID, task: str) -> Happening:
    words, tone = _NOTABLE[Event(event)]
    return Happening(at, f"{task} {words}", why, tone, run_id)


def _decisions() -> list[Happening]:
    """Verdicts, modes, leases: what the fleet decided about itself."""
    found = FleetEvent.objects.exclude(kind="machine")[:SHOWN]
    return [
        Happening(
            item.at,
            f"{item.kind.capitalize()} of {site_label(item.subject)}: "
            f"{item.was or 'unknown'} → {item.became}",
            item.why,
            _DECIDED.get(item.became.partition(" ")[0], "info"),
        )
        for item in found
    ]


def _refusals() -> list[Happening]:
    found = SecurityEvent.objects.order_by("-pk")[:SHOWN]
    return [
        Happening(
            item.at,
            f"Refused at {site_label(item.site) or 'the door'}: {item.kind}",
            item.detail or item.task,
            "bad",
        )
        for item in found
    ]
