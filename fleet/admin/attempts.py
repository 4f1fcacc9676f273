"""Attempts and events, each with a list of its own."""

from typing import Any

from django.contrib import admin

from fleet.admin.base import ATTEMPT_COLOURS, RUN_COLOURS, ReadOnlyAdmin, column, pretty
from fleet.models import Attempt, RunEvent


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    """Tries at runs, with what they reported."""

    list_display = (
        "run",
        "number",
        "status_label",
        "stale",
        "site",
        "worker_id",
        "queue_name",
        "created_at",
        "started_at",
        "ended_at",
    )
    list_filter = ("status", "stale", "site", "queue_name")
    list_select_related = ("run",)
    search_fields = ("run__task", "run__id", "worker_id", "=token")
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-id")
    fields = (
        ("run", "number", "token"),
        ("status_label", "stale"),
        ("site", "worker_id", "queue_name"),
        ("created_at", "published_at", "times_published"),
        ("started_at", "seen_at", "ended_at"),
        "outcome_json",
    )

    @column("status", ordering="status", label=ATTEMPT_COLOURS)
    def status_label(self, obj: Attempt) -> str:
        return str(obj.status)

    @column("outcome")
    def outcome_json(self, obj: Attempt) -> str:
        return pretty(obj.outcome)


@admin.register(RunEvent)
class RunEventAdmin(ReadOnlyAdmin):
    """Every change of a run's status."""

    list_display = ("at", "run", "event", "from_status", "to_label", "why", "who")
    list_display_links = ("at",)
    list_filter = ("event", "to_status")
    list_select_related = ("run",)
    search_fields = ("run__task", "run__id", "why", "who")
    date_hierarchy = "at"
    ordering = ("-id",)
    fields: Any = (("run", "at"), ("event", "from_status", "to_label"), "why", "who")

    @column("to", ordering="to_status", label=RUN_COLOURS)
    def to_label(self, obj: RunEvent) -> str:
        return str(obj.to_status)
