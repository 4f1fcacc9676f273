"""Attempts and events, each with a list of its own."""

from typing import Any

from django.contrib import admin

from fleet.admin.base import (
    ATTEMPT_COLOURS,
    RUN_COLOURS,
    ReadOnlyAdmin,
    clipped,
    column,
    late,
    pretty,
    short_key,
    with_note,
)
from fleet.models import Attempt, RunEvent


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    """Tries at runs, with what they reported."""

    list_display = (
        "of_run",
        "number",
        "status_label",
        "late",
        "site",
        "worker_id",
        "started_at",
        "ended_at",
    )
    list_filter = ("status", "stale", "site", "queue_name")
    list_select_related = ("run",)
    search_fields = ("run__task", "run__id", "worker_id", "=token")
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-id")
    fields = (
        "run",
        ("number", "token"),
        ("status_label", "late"),
        ("site", "queue_name"),
        "worker_id",
        ("created_at", "published_at"),
        ("times_published", "seen_at"),
        ("started_at", "ended_at"),
        "outcome_json",
    )

    @column("run", ordering="run")
    def of_run(self, obj: Attempt) -> str:
        return with_note(obj.run.task, short_key(obj.run_id))

    @column("status", ordering="status", label=ATTEMPT_COLOURS)
    def status_label(self, obj: Attempt) -> str:
        return str(obj.status)

    @column("late", ordering="stale")
    def late(self, obj: Attempt) -> str:
        return late(obj)

    @column("outcome")
    def outcome_json(self, obj: Attempt) -> str:
        return pretty(obj.outcome)


@admin.register(RunEvent)
class RunEventAdmin(ReadOnlyAdmin):
    """Every change of a run's status."""

    list_display = ("at", "of_run", "event", "from_status", "to_label", "because", "who")
    list_display_links = ("at",)
    list_filter = ("event", "to_status")
    list_select_related = ("run",)
    search_fields = ("run__task", "run__id", "why", "who")
    date_hierarchy = "at"
    ordering = ("-id",)
    fields: Any = ("run", ("at", "event"), ("from_status", "to_label"), "why", "who")

    @column("run", ordering="run")
    def of_run(self, obj: RunEvent) -> str:
        return with_note(obj.run.task, short_key(obj.run_id))

    @column("why")
    def because(self, obj: RunEvent) -> str:
        return clipped(obj.why)

    @column("to", ordering="to_status", label=RUN_COLOURS)
    def to_label(self, obj: RunEvent) -> str:
        return str(obj.to_status)
