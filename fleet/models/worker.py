"""A Celery worker, as its box's agent reports it."""

from datetime import datetime

from django.db import models

from fleet.models.site import Site
from fleet.policy import liveness


class Worker(models.Model):
    """A `celery worker` process on a LAN box; `id` is its Celery node name."""

    id = models.CharField(primary_key=True, max_length=120)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="workers")
    box = models.CharField(max_length=31)
    capabilities = models.JSONField(default=list)
    queues = models.JSONField(default=list)
    slots = models.PositiveSmallIntegerField(default=0, help_text="Tasks at the same time")
    busy = models.PositiveSmallIntegerField(default=0)
    pid = models.PositiveIntegerField(null=True, blank=True)
    version = models.CharField(max_length=40, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    stopped_at = models.DateTimeField(
        null=True, blank=True, help_text="When its agent saw that the process had ended"
    )

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.id

    def verdict(self, now: datetime) -> liveness.Verdict:
        """Alive, suspect or dead, with the reason."""
        if self.stopped_at is not None:
            return liveness.Verdict(liveness.Liveness.DEAD, "its process has ended")
        seen = self.last_seen_at
        return liveness.verdict(None if seen is None else (now - seen).total_seconds())
