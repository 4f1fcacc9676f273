"""A run: one accepted call of a task, from enqueue to its outcome."""

from django.db import models

from fleet.policy.effects import EffectClass
from fleet.policy.states import AttemptStatus, RunStatus

STATUS_CHOICES = [(s.value, s.value.lower()) for s in RunStatus]
ATTEMPT_CHOICES = [(s.value, s.value.lower()) for s in AttemptStatus]
EFFECT_CHOICES = [(e.value, e.value) for e in EffectClass]

#: The name of the control plane's own home.
CONTROL_HOME = "control"


class TaskRun(models.Model):
    """One row per accepted call. Written by `fleet.ledger` only.

    Status changes are compare-and-set through `fleet.ledger.transitions`; the fields are named
    as in `django.tasks`.
    """

    id = models.UUIDField(primary_key=True)
    task = models.CharField(max_length=100)
    args = models.JSONField(default=list)
    kwargs = models.JSONField(default=dict)
    capability = models.CharField(max_length=31)
    site = models.CharField(max_length=31, blank=True, help_text="Pinned to this site; empty: any")
    queue_name = models.CharField(max_length=63)
    priority = models.SmallIntegerField(default=0)
    effect = models.CharField(max_length=1, choices=EFFECT_CHOICES)
    max_attempts = models.PositiveSmallIntegerField(default=1)
    status = models.CharField(max_length=10, choices=STATUS_CHOICES, default=RunStatus.READY)
    reason = models.CharField(max_length=300, blank=True, help_text="Why it is in this status")
    home = models.CharField(max_length=31, default=CONTROL_HOME)
    idempotency_key = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001
    content_digest = models.CharField(max_length=64, blank=True)
    enqueued_by = models.CharField(max_length=120, blank=True)
    group_id = models.CharField(max_length=64, blank=True)
    run_after = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    enqueued_at = models.DateTimeField()
    last_attempted_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    token = models.BigIntegerField(default=0, help_text="Fencing token of the current attempt")
    open_attempt = models.BooleanField(default=False, help_text="An attempt is under way")
    worker_id = models.CharField(max_length=120, blank=True)
    return_value = models.JSONField(null=True, blank=True)
    result_meta = models.JSONField(
        null=True, blank=True, help_text="Digest, size, summary and place of a result kept local"
    )
    error = models.JSONField(null=True, blank=True)

    class Meta:
        ordering = ("-enqueued_at", "-id")
        indexes = (
            models.Index(
                fields=("priority", "enqueued_at"),
                condition=models.Q(status="READY", open_attempt=False),
                name="run_due",
            ),
            models.Index(fields=("-enqueued_at", "-id"), name="run_recent"),
            models.Index(fields=("status", "-enqueued_at"), name="run_status"),
            models.Index(fields=("task", "-enqueued_at"), name="run_task"),
        )
        constraints = (
            models.UniqueConstraint(
                fields=("home", "idempotency_key"),
                condition=models.Q(idempotency_key__isnull=False),
                name="run_idempotency_key",
            ),
        )

    def __str__(self) -> str:
        return f"{self.task} {self.id}"


class Attempt(models.Model):
    """One try at a run, with its own fencing token."""

    run = models.ForeignKey(TaskRun, on_delete=models.CASCADE, related_name="attempt_set")
    number = models.PositiveSmallIntegerField()
    token = models.BigIntegerField(unique=True)
    status = models.CharField(max_length=10, choices=ATTEMPT_CHOICES, default=AttemptStatus.CREATED)
    queue_name = models.CharField(max_length=63)
    created_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True, blank=True)
    times_published = models.PositiveSmallIntegerField(default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(
        null=True, blank=True, help_text="Its agent last said that it was running"
    )
    ended_at = models.DateTimeField(null=True, blank=True)
    site = models.CharField(max_length=31, blank=True)
    worker_id = models.CharField(max_length=120, blank=True)
    outcome = models.JSONField(null=True, blank=True, help_text="What it reported, stale or not")
    stale = models.BooleanField(default=False, help_text="Reported after it had been replaced")

    class Meta:
        ordering = ("run", "number")
        indexes = (
            models.Index(
                fields=("status", "created_at"),
                condition=models.Q(status__in=("CREATED", "PUBLISHED", "RUNNING")),
                name="attempt_open",
            ),
        )

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.run_id}"


class RunEvent(models.Model):
    """A change of a run's status: when, from, to, why, who."""

    run = models.ForeignKey(TaskRun, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    event = models.CharField(max_length=20)
    from_status = models.CharField(max_length=10, blank=True)
    to_status = models.CharField(max_length=10)
    why = models.CharField(max_length=300, blank=True)
    who = models.CharField(max_length=120)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.event}: {self.from_status} to {self.to_status}"


class TokenCounter(models.Model):
    """The control plane's count of attempts ever issued; a single row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    value = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.value)
