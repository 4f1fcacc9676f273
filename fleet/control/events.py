"""Changes of verdict, mode, lease and machine, written down with their reason."""

import logging
from datetime import datetime

from fleet.models import FleetEvent

log = logging.getLogger("fleet.events")


def note(
    kind: str, subject: str, was: str, became: str, why: str, who: str, now: datetime
) -> FleetEvent:
    """Write a change into the ledger and into the log."""
    log.info("%s of %s: %s → %s: %s", kind, subject, was or "-", became, why)
    return FleetEvent.objects.create(
        at=now,
        kind=kind,
        subject=subject[:60],
        was=was[:40],
        became=became[:40],
        why=why[:300],
        who=who[:120],
    )
