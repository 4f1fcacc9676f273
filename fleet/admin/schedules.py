"""Schedules of django-celery-beat, in the look of the rest, and checked like every other call."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import DatabaseError
from django.db.models import QuerySet
from django.forms import HiddenInput
from django.http import HttpRequest
from django_celery_beat.admin import ClockedScheduleAdmin as BeatClockedAdmin
from django_celery_beat.admin import CrontabScheduleAdmin as BeatCrontabAdmin
from django_celery_beat.admin import PeriodicTaskAdmin as BeatTaskAdmin
from django_celery_beat.admin import PeriodicTaskForm, TaskSelectWidget
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.widgets import UnfoldAdminSelectWidget

from fleet.admin.base import FleetAdmin, ReadOnlyInline
from fleet.admin.operations import reason
from fleet.ledger.enqueue import Accepted, accept
from fleet.policy.errors import FleetError, UnknownNameError
from fleet.views.words import plural
from tasks import app
from tasks.call import call_from_celery, task_contracts

for model in (PeriodicTask, ClockedSchedule, CrontabSchedule, IntervalSchedule, SolarSchedule):
    admin.site.unregister(model)


class FleetTaskSelect(UnfoldAdminSelectWidget, TaskSelectWidget):  # type: ignore[misc]
    """The tasks of the fleet only; beat can enqueue nothing else."""

    def tasks_as_choices(self) -> tuple[tuple[str, str], ...]:
        return (("", "-"), *((name, name) for name in sorted(task_contracts(app))))


class ScheduleForm(PeriodicTaskForm):  # type: ignore[misc]
    """A schedule whose call would be accepted now is accepted when it is due."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice = self.fields["regtask"]
        choice.label, choice.required, choice.widget = "Task", True, FleetTaskSelect()
        choice.initial = self.instance.task
        self.fields["task"].widget = HiddenInput()

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean()
        if {"task", "args", "kwargs"} <= data.keys() and not self.errors:
            self._check_call(data)
        return data

    def _check_call(self, data: Mapping[str, Any]) -> None:
        args, kwargs = json.loads(data["args"] or "[]"), json.loads(data["kwargs"] or "{}")
        try:
            call_from_celery(app, data["task"], args, kwargs, _options(data))
        except FleetError as error:
            raise ValidationError({_field_of(error, kwargs): str(error)}) from None


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(BeatTaskAdmin, FleetAdmin):  # type: ignore[misc]
    """Schedules; each due one makes a run like any other."""

    form = ScheduleForm
    change_form_template = None
    celery_app = app
    list_display = ("name", "task", "enabled", "scheduler", "one_off", "last_run_at")

    @admin.action(description="Run selected tasks now", permissions=["change"])
    def run_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        """Each is accepted or refused on its own."""
        done = [run for row in queryset if (run := self._run(request, row)) is not None]
        if done:
            self.message_user(request, f"{plural(len(done), 'run')} accepted.", messages.SUCCESS)

    def _run(self, request: HttpRequest, row: PeriodicTask) -> Accepted | None:
        options = {"queue": row.queue or None, "priority": row.priority}
        try:
            args, kwargs = json.loads(row.args), json.loads(row.kwargs)
            call = call_from_celery(app, row.task, args, kwargs, options)
            return accept(app, call, by=request.user.get_username())
        except (FleetError, DatabaseError, json.JSONDecodeError) as error:
            broken = isinstance(error, json.JSONDecodeError)
            text = f"not JSON: {error}" if broken else reason(error)
            self.message_user(request, f"{row.name}: {text}", messages.ERROR)
            return None


class PeriodicTaskInline(ReadOnlyInline):
    """The schedules that use a time table."""

    model = PeriodicTask
    fields = ("name", "task", "enabled", "last_run_at")


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(FleetAdmin):
    """Every so often."""

    list_display = ("__str__", "every", "period")
    list_filter = ("period",)
    search_fields = ("period",)
    inlines = (PeriodicTaskInline,)


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(BeatCrontabAdmin, FleetAdmin):  # type: ignore[misc]
    """At certain times."""

    list_filter = ("timezone",)
    search_fields = ("minute", "hour", "day_of_week")
    inlines = (PeriodicTaskInline,)


@admin.register(ClockedSchedule)
class ClockedScheduleAdmin(BeatClockedAdmin, FleetAdmin):  # type: ignore[misc]
    """Once, at a moment."""

    list_filter = ("clocked_time",)
    date_hierarchy = "clocked_time"
    inlines = (PeriodicTaskInline,)


@admin.register(SolarSchedule)
class SolarScheduleAdmin(FleetAdmin):
    """By the sun."""

    list_display = ("__str__", "event", "latitude", "longitude")
    list_filter = ("event",)
    search_fields = ("event",)
    inlines = (PeriodicTaskInline,)


def _options(data: Mapping[str, Any]) -> dict[str, Any]:
    """What beat will pass on to `apply_async`."""
    expires: datetime | int | None = data.get("expires") or data.get("expire_seconds")
    options = {name: data.get(name) for name in ("queue", "routing_key", "priority")}
    return {**options, "expires": expires}


def _field_of(error: FleetError, kwargs: Any) -> str:
    if isinstance(error, UnknownNameError):
        return "queue" if error.kind in ("queue", "site") else "regtask"
    text = str(error)
    if "priority" in text or "queue" in text:
        return "priority" if "priority" in text else "queue"
    return "kwargs" if kwargs else "args"
