"""API tokens, hashed at rest, and the security events that workers report."""

from django.db import models

from fleet.models.site import Site


class Scope(models.TextChoices):
    READ = "read", "read"
    ENQUEUE = "enqueue", "enqueue, cancel, retry and read"
    OPERATE = "operate", "all of that, and planned stops, overrides and budgets"
    AGENT = "agent", "agent of one site"


class ApiToken(models.Model):
    """A bearer token; only its SHA-256 is kept (the token itself has 256 random bits)."""

    name = models.CharField(max_length=60, unique=True)
    digest = models.CharField(max_length=64, unique=True)
    scope = models.CharField(max_length=10, choices=Scope.choices)
    site = models.ForeignKey(
        Site, on_delete=models.CASCADE, null=True, blank=True, help_text="Only for an agent"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class SecurityEvent(models.Model):
    """A message that a worker refused, or a call that was refused at the door."""

    at = models.DateTimeField()
    site = models.CharField(max_length=31, blank=True)
    worker_id = models.CharField(max_length=120, blank=True)
    kind = models.CharField(max_length=40)
    task = models.CharField(max_length=100, blank=True)
    run_id = models.CharField(max_length=64, blank=True)
    detail = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.kind} at {self.site}"
