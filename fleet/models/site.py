"""A site of the fleet and the journals that report for it."""

from django.db import models


class Site(models.Model):
    """A data centre: a LAN with workers, or the control plane's own place."""

    name = models.SlugField(primary_key=True, max_length=31)
    number = models.PositiveSmallIntegerField(unique=True, help_text="Its number in tokens")
    title = models.CharField(max_length=60)
    note = models.CharField(max_length=200, blank=True)
    capabilities = models.JSONField(default=list, blank=True)
    public_key = models.CharField(
        max_length=64, blank=True, help_text="Ed25519 key of the site's home, base64"
    )
    last_seen_at = models.DateTimeField(null=True, blank=True)
    observations = models.JSONField(
        default=dict, blank=True, help_text="What its agent last said of broker and links"
    )
    row = models.JSONField(
        default=dict, blank=True, help_text="Its last signed row of the matrix of who hears whom"
    )
    row_at = models.DateTimeField(null=True, blank=True)
    verdict = models.CharField(max_length=20, blank=True, help_text="The control plane's judgement")
    verdict_reason = models.CharField(max_length=300, blank=True)
    verdict_at = models.DateTimeField(null=True, blank=True)
    verdict_since = models.DateTimeField(null=True, blank=True)
    verdicts = models.JSONField(
        default=dict, blank=True, help_text="What this site itself judges of the others"
    )
    recovery = models.CharField(max_length=20, blank=True, help_text="Stage of its return")
    recovery_since = models.DateTimeField(null=True, blank=True)
    recovery_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.title or self.name


class Journal(models.Model):
    """One box's journal: how far its entries have been taken over."""

    id = models.UUIDField(primary_key=True)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="journals")
    box = models.CharField(max_length=31)
    acked_seq = models.BigIntegerField(default=0)
    pending = models.PositiveIntegerField(default=0, help_text="Entries not yet reported")
    last_report_at = models.DateTimeField(null=True, blank=True)
    metrics = models.JSONField(default=dict, blank=True, help_text="Host metrics of the box")
    metrics_at = models.DateTimeField(null=True, blank=True)
    trouble = models.CharField(
        max_length=300, blank=True, help_text="Why the box cannot take work, in its own words"
    )

    class Meta:
        ordering = ("site", "box")

    def __str__(self) -> str:
        return f"{self.box}@{self.site_id}"


class HomeMail(models.Model):
    """Something that a site's home must hear; it travels in the answer to its next report.

    `kind` is `claimed`, `finished`, `lost`, `running` (what a foreign site does with its runs),
    `cancel` or `retry` (what an operator asked for).
    """

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="mail")
    kind = models.CharField(max_length=20)
    payload = models.JSONField()
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.kind} for {self.site_id}"
