"""A planned stop of the site that leads the broker: the broker moves away first."""

from datetime import datetime, timedelta
from typing import Protocol

from fleet.control.events import note
from fleet.control.modes import maintained
from fleet.control.moving import Moved
from fleet.models import Maintenance, Site

WHO = "control plane"
#: A move that failed is tried again after this long.
RETRY_AFTER = timedelta(seconds=30)


class Mover(Protocol):
    """Moves the broker away from where it is."""

    def move(self) -> Moved: ...


class BrokerDrain:
    """One `step` moves the broker at most once."""

    def __init__(self, mover: Mover) -> None:
        self._mover = mover
        self._tried: dict[int, datetime] = {}

    def step(self, now: datetime) -> Moved | None:
        """What was done, or None when nothing had to be."""
        leads = [site for site in sorted(maintained(now)) if _leads(site)]
        if not leads:
            return None
        stop = Maintenance.objects.filter(site_id=leads[0], ended_at=None).latest("began_at")
        last = self._tried.get(stop.pk)
        if last is not None and now - last < RETRY_AFTER:
            return None
        self._tried[stop.pk] = now
        found = self._mover.move()
        became = f"moved to {found.master}" if found.moved else "not moved"
        why = f"{found.reason}; writers paused for {found.paused_s:.2f} s"
        note("broker", leads[0], "leads", became, why, WHO, now)
        return found


def _leads(site: str) -> bool:
    """Whether the site's own agent says that its Redis is the master."""
    row = Site.objects.get(pk=site)
    return (row.observations.get("broker") or {}).get("role") == "master"
