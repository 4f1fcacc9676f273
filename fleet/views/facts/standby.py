"""The standby: whether its machine runs, and under whose lease."""

from dataclasses import dataclass
from datetime import datetime

from fleet.control.leases import is_live, lease_of
from fleet.control.timing import timing
from fleet.models import ActivationLease
from fleet.views.words import site_label


@dataclass(frozen=True, slots=True)
class StandbyFacts:
    """`text` is followed by the age of `since`: how long the machine has been so."""

    text: str
    reason: str
    tone: str
    since: datetime | None


def standby_facts() -> StandbyFacts | None:
    """None where no standby machine was ever seen: one query."""
    row = ActivationLease.objects.filter(pk=1).first()
    if row is None or not row.machine:
        return None
    if is_live(lease_of(row), timing()):
        text = f"works under lease {row.generation}, asked for by {site_label(row.activator)}"
        return StandbyFacts(text, row.machine_reason, "warn", row.machine_since)
    tone = "info" if row.machine == "started" else "off"
    return StandbyFacts(row.machine, row.machine_reason, tone, row.machine_since)
