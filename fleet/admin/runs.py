"""Runs: found, looked at, cancelled, retried and enqueued, but never edited."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.enums import ActionVariant

from fleet.admin.base import (
    ATTEMPT_COLOURS,
    RUN_COLOURS,
    ReadOnlyAdmin,
    ReadOnlyInline,
    button,
    column,
    pretty,
)
from fleet.admin.enqueue import enqueue_view
from fleet.admin.operations import OperationsMixin
from fleet.api.selection import containing
from fleet.ledger.waiting import waiting_reason
from fleet.models import Attempt, RunEvent, TaskRun
from fleet.policy.priority import priority_name


class AttemptInline(ReadOnlyInline):
    """The run's attempts."""

    model = Attempt
    fields = (
        "number",
        "token",
        "status_label",
        "stale",
        "site",
        "worker_id",
        "published_at",
        "started_at",
        "ended_at",
    )
    readonly_fields = ("status_label",)

    @column("status", label=ATTEMPT_COLOURS)
    def status_label(self, obj: Attempt) -> str:
        return str(obj.status)


class EventInline(ReadOnlyInline):
    """The run's history."""

    model = RunEvent
    fields = ("at", "event", "from_status", "to_status", "why", "who")


@admin.register(TaskRun)
class TaskRunAdmin(OperationsMixin, ReadOnlyAdmin):
    """The ledger. Free text looks into task, id, arguments and error."""

    list_display = (
        "id",
        "status_label",
        "task",
        "site",
        "queue_name",
        "priority_label",
        "tries",
        "enqueued_at",
        "finished_at",
        "reason",
        "enqueued_by",
    )
    list_filter = ("status", "task", "site", "queue_name", "effect", "home", "priority")
    search_fields = ("task",)
    search_help_text = "Task, id, arguments or error"
    date_hierarchy = "enqueued_at"
    ordering = ("-enqueued_at", "-id")
    actions = ("cancel_selected", "retry_selected")
    actions_list = ("enqueue",)
    actions_detail = ("cancel_one", "retry_one")
    inlines = (AttemptInline, EventInline)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("task", "id"),
                    ("status_label", "reason", "waiting"),
                    ("args_json", "kwargs_json"),
                    ("return_json", "meta_json"),
                    "error_json",
                )
            },
        ),
        (
            "Place and time",
            {
                "fields": (
                    ("capability", "site", "queue_name", "worker_id"),
                    ("priority_label", "effect", "tries", "token"),
                    ("enqueued_at", "run_after", "expires_at"),
                    ("last_attempted_at", "started_at", "finished_at"),
                    ("home", "enqueued_by", "idempotency_key", "group_id"),
                )
            },
        ),
    )

    @button(
        "Enqueue task",
        url_path="enqueue",
        permissions=["enqueue"],
        icon="add",
        variant=ActionVariant.PRIMARY,
    )
    def enqueue(self, request: HttpRequest) -> HttpResponse:
        return enqueue_view(self.admin_site, request)

    def has_enqueue_permission(self, request: HttpRequest) -> bool:
        """Runs are added through the enqueue page only; the right is the same."""
        return request.user.has_perm("fleet.add_taskrun")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[TaskRun], search_term: str
    ) -> tuple[QuerySet[TaskRun], bool]:
        """All words must occur, in whatever column."""
        for word in search_term.split():
            queryset = containing(queryset, word)
        return queryset, False

    @column("status", ordering="status", label=RUN_COLOURS)
    def status_label(self, obj: TaskRun) -> str:
        return str(obj.status)

    @column("priority", ordering="priority")
    def priority_label(self, obj: TaskRun) -> str:
        return priority_name(obj.priority)

    @column("attempts", ordering="attempts")
    def tries(self, obj: TaskRun) -> str:
        return f"{obj.attempts} of {obj.max_attempts}"

    @column("waits because")
    def waiting(self, obj: TaskRun) -> str:
        return waiting_reason(obj, timezone.now()) or "-"

    @column("args")
    def args_json(self, obj: TaskRun) -> str:
        return pretty(obj.args)

    @column("kwargs")
    def kwargs_json(self, obj: TaskRun) -> str:
        return pretty(obj.kwargs)

    @column("return value")
    def return_json(self, obj: TaskRun) -> str:
        return pretty(obj.return_value)

    @column("result kept at its site")
    def meta_json(self, obj: TaskRun) -> str:
        return pretty(obj.result_meta)

    @column("error")
    def error_json(self, obj: TaskRun) -> str:
        return pretty(obj.error)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, under the name that people use."""
        found: HttpResponse = super().changelist_view(
            request, {"title": "Runs", **(extra_context or {})}
        )
        return found
