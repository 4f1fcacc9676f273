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
    clipped,
    column,
    compact_moment,
    late,
    pretty,
    short_key,
    with_note,
)
from fleet.admin.enqueue import enqueue_view
from fleet.admin.operations import OperationsMixin
from fleet.api.selection import containing
from fleet.ledger.waiting import waiting_reason
from fleet.models import Attempt, RunEvent, TaskRun
from fleet.policy.effects import EffectClass
from fleet.policy.priority import priority_name
from fleet.views.words import attempts_made, between, duration


class AttemptInline(ReadOnlyInline):
    """The run's attempts."""

    model = Attempt
    fields = (
        "number",
        "token",
        "status_label",
        "late",
        "site",
        "worker_id",
        "started",
        "ended",
    )
    readonly_fields = ("status_label", "late", "started", "ended")

    @column("status", label=ATTEMPT_COLOURS)
    def status_label(self, obj: Attempt) -> str:
        return str(obj.status)

    @column("late")
    def late(self, obj: Attempt) -> str:
        return late(obj)

    @column("started (UTC)")
    def started(self, obj: Attempt) -> str:
        return compact_moment(obj.started_at)

    @column("ended (UTC)")
    def ended(self, obj: Attempt) -> str:
        return compact_moment(obj.ended_at)


class EventInline(ReadOnlyInline):
    """The run's history."""

    model = RunEvent
    fields = ("moment", "event", "from_status", "to_status", "why", "who")
    readonly_fields = ("moment",)

    @column("at (UTC)")
    def moment(self, obj: RunEvent) -> str:
        return compact_moment(obj.at)


@admin.register(TaskRun)
class TaskRunAdmin(OperationsMixin, ReadOnlyAdmin):
    """The ledger. Free text looks into task, id, arguments and error."""

    list_display = (
        "short",
        "status_label",
        "asked",
        "tries",
        "enqueued_at",
        "took",
        "because",
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
                    ("task", "status_label"),
                    "id",
                    "waiting",
                    "reason",
                    "args_json",
                    "kwargs_json",
                    "return_json",
                    "meta_json",
                    "error_json",
                )
            },
        ),
        (
            "Place and time",
            {
                "fields": (
                    ("capability", "queue_name"),
                    ("site", "worker_id"),
                    ("priority_label", "home"),
                    ("effect", "attempts_so_far"),
                    "token",
                    ("enqueued_at", "enqueued_by"),
                    ("run_after", "expires_at"),
                    ("last_attempted_at", "started_at"),
                    "finished_at",
                    "idempotency_key",
                    "group_id",
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

    @column("id")
    def short(self, obj: TaskRun) -> str:
        return short_key(obj.pk)

    @column("task", ordering="task")
    def asked(self, obj: TaskRun) -> str:
        notes = (obj.enqueued_by and f"by {obj.enqueued_by}", obj.site and f"only at {obj.site}")
        return with_note(obj.task, ", ".join(filter(None, notes)))

    @column("took")
    def took(self, obj: TaskRun) -> str:
        seconds = between(obj.started_at, obj.finished_at)
        return "-" if seconds is None else duration(seconds)

    @column("reason", ordering="reason")
    def because(self, obj: TaskRun) -> str:
        return clipped(obj.reason)

    @column("attempts", ordering="attempts")
    def tries(self, obj: TaskRun) -> str:
        """A person decides about a second attempt of class D, so there is no "of"."""
        alone = obj.effect == EffectClass.D
        return str(obj.attempts) if alone else f"{obj.attempts} of {obj.max_attempts}"

    @column("attempts")
    def attempts_so_far(self, obj: TaskRun) -> str:
        return attempts_made(obj.effect, obj.attempts, obj.max_attempts)

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
