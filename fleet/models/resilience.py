"""What the fleet has decided about itself: its mode, the activation lease, planned stops."""

from django.db import models

from fleet.models.site import Site

NORMAL = "normal"


class FleetState(models.Model):
    """The mode of the whole fleet; a single row, changed by compare-and-set on `epoch`."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    mode = models.CharField(max_length=20, default=NORMAL)
    site = models.CharField(max_length=31, blank=True, help_text="The site that the mode is about")
    epoch = models.PositiveBigIntegerField(default=1)
    since = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return f"{self.mode} {self.site}".strip()


class ActivationLease(models.Model):
    """Leave for the standby to work; a single row.

    `granted_s` is in seconds of the boot that `boot_id` names (CLOCK_BOOTTIME): a lease of an
    earlier boot is void. `granted_at` is for people.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    generation = models.PositiveBigIntegerField(default=0)
    activator = models.CharField(max_length=31, blank=True)
    down = models.CharField(max_length=31, blank=True)
    epoch = models.PositiveBigIntegerField(default=0)
    granted_s = models.FloatField(default=0.0)
    boot_id = models.CharField(max_length=40, blank=True)
    granted_at = models.DateTimeField(null=True, blank=True)
    first_granted_at = models.DateTimeField(null=True, blank=True)
    machine = models.CharField(max_length=20, blank=True, help_text="State of the standby machine")
    machine_reason = models.CharField(max_length=300, blank=True)
    machine_since = models.DateTimeField(null=True, blank=True)
    confirmed_by = models.CharField(
        max_length=120, blank=True, help_text="Who allowed it to go on beyond its budget"
    )

    def __str__(self) -> str:
        return f"generation {self.generation}, asked for by {self.activator or 'nobody'}"


class StandbyMonth(models.Model):
    """How long the standby was activated in a month of UTC, such as 2026-11."""

    month = models.CharField(max_length=7, primary_key=True)
    active_s = models.FloatField(default=0.0)

    def __str__(self) -> str:
        return f"{self.month}: {self.active_s:.0f} s"


class Maintenance(models.Model):
    """A planned stop of a site. It ends by itself."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="maintenances")
    reason = models.CharField(max_length=300)
    by = models.CharField(max_length=120)
    began_at = models.DateTimeField()
    until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-began_at",)

    def __str__(self) -> str:
        return f"{self.site_id} until {self.until:%Y-%m-%d %H:%M} UTC"


class Override(models.Model):
    """An operator's word that sites are down, against what the machine may know itself."""

    epoch = models.PositiveBigIntegerField(help_text="The fleet's epoch that it fences")
    asserted = models.JSONField(default=list, help_text="Sites that are said to be down")
    reason = models.CharField(max_length=300)
    by = models.CharField(max_length=120)
    began_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-began_at",)

    def __str__(self) -> str:
        return f"epoch {self.epoch}: {', '.join(map(str, self.asserted))} down"


class FleetEvent(models.Model):
    """A change of a verdict, a mode, a lease or a machine, and why."""

    at = models.DateTimeField(db_index=True)
    kind = models.CharField(max_length=20)
    subject = models.CharField(max_length=60)
    was = models.CharField(max_length=40, blank=True)
    became = models.CharField(max_length=40)
    why = models.CharField(max_length=300, blank=True)
    who = models.CharField(max_length=120)

    class Meta:
        ordering = ("-at", "-id")

    def __str__(self) -> str:
        return f"{self.subject}: {self.was or '-'} → {self.became}"
