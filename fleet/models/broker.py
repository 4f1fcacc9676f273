"""What the control loop last saw of the broker: depth of every queue, and who is master."""

from django.db import models


class BrokerView(models.Model):
    """The broker as the control plane saw it; a single row.

    `queues` maps a queue's name to {"depth": messages in the broker}.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    seen_at = models.DateTimeField(null=True, blank=True)
    master = models.CharField(max_length=60, blank=True)
    away_since = models.DateTimeField(null=True, blank=True)
    away_reason = models.CharField(max_length=300, blank=True)
    queues = models.JSONField(default=dict)
    unacked = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return self.master or "no master"
