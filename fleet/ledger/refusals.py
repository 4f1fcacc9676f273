"""Messages that workers refused: counted and shown as security events."""

from fleet.models import SecurityEvent, Site
from tasks.wire import Entry


def take_refusal(site: Site, entry: Entry) -> None:
    """One row a refused message."""
    SecurityEvent.objects.create(
        at=entry.at,
        site=site.pk,
        worker_id=entry.worker_id,
        kind=str(entry.payload.get("refusal", "refused"))[:40],
        task=entry.task[:100],
        run_id=entry.run_id[:64],
        detail=str(entry.payload.get("detail", ""))[:300],
    )
