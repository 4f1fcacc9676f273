"""Cancel and retry in the admin: on a selection, and on one run with a reason."""

from collections.abc import Callable, Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import DatabaseError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from fleet.admin.base import button
from fleet.api.problems import problem_of
from fleet.ledger import operate
from fleet.models import CONTROL_HOME, TaskRun
from fleet.policy.errors import FleetError
from fleet.policy.states import IllegalTransitionError, RunStatus, statuses_before
from fleet.policy.states import RunEvent as Event
from fleet.views.words import plural

#: More refusals than these are counted instead of listed.
MESSAGES = 10
#: RuntimeError: the run kept changing while it was being changed.
REFUSALS = (IllegalTransitionError, TaskRun.DoesNotExist, FleetError, DatabaseError, RuntimeError)

Operation = Callable[..., TaskRun]


class WhyForm(BaseDialogForm):  # type: ignore[misc]
    """The reason that goes into the run's events."""

    why = forms.CharField(
        label="Why", required=False, max_length=300, widget=UnfoldAdminTextInputWidget()
    )


def _dialog(title: str, description: str) -> dict[str, Any]:
    return {
        "title": title,
        "description": description,
        "form_class": WhyForm,
        "form_submit_text": title,
    }


class OperationsMixin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Actions for people who may change runs."""

    def has_operate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Runs cannot be edited, so the right to change them is the right to operate on them."""
        return request.user.has_perm("fleet.change_taskrun")

    @admin.action(description="Cancel the selected runs", permissions=["operate"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[TaskRun]) -> None:
        self._on_selection(request, queryset, operate.cancel, "cancelled")

    @admin.action(description="Retry the selected runs", permissions=["operate"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[TaskRun]) -> None:
        self._on_selection(request, queryset, operate.retry, "set to run again")

    @button(
        "Cancel",
        url_path="cancel",
        permissions=["operate"],
        icon="cancel",
        variant=ActionVariant.DANGER,
        dialog=_dialog("Cancel this run", "What it still reports no longer counts."),
    )
    def cancel_one(self, request: HttpRequest, form: WhyForm, object_id: str) -> HttpResponse:
        return self._on_one(request, object_id, operate.cancel, form.cleaned_data["why"])

    @button(
        "Retry",
        url_path="retry",
        permissions=["operate"],
        icon="replay",
        dialog=_dialog("Run it again", "It gets another attempt with a newer token."),
    )
    def retry_one(self, request: HttpRequest, form: WhyForm, object_id: str) -> HttpResponse:
        return self._on_one(request, object_id, operate.retry, form.cleaned_data["why"])

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """The buttons of a run's page: only what is possible in its present status."""
        run = self.get_object(request, str(object_id))
        if run is None:
            return []
        status = RunStatus(run.status)
        offered = super().get_actions_detail(request, object_id)  # type: ignore[misc]
        return [one for one in offered if _possible(one.path, status)]

    def _on_selection(
        self, request: HttpRequest, queryset: QuerySet[TaskRun], operation: Operation, done: str
    ) -> None:
        who, refusals, count = request.user.get_username(), [], 0
        for run_id in list(queryset.values_list("pk", flat=True)):
            try:
                operation(run_id, who=who)
                count += 1
            except REFUSALS as error:
                refusals.append(f"{run_id}: {reason(error)}")
        if count:
            self.message_user(request, f"{plural(count, 'run')} {done}.", messages.SUCCESS)
        self._tell(request, refusals)

    def _on_one(
        self, request: HttpRequest, object_id: str, operation: Operation, why: str
    ) -> HttpResponse:
        found = self.get_object(request, object_id)
        if found is None:
            raise Http404(f"there is no run {object_id!r}")
        try:
            run = operation(found.pk, who=request.user.get_username(), why=why)
        except REFUSALS as error:
            self._tell(request, [reason(error)])
        else:
            self.message_user(request, _outcome(run), messages.SUCCESS)
        return to_page("admin:fleet_taskrun_change", request, object_id)

    def _tell(self, request: HttpRequest, refusals: Iterable[str]) -> None:
        listed = list(refusals)
        for text in listed[:MESSAGES]:
            self.message_user(request, text, messages.ERROR)
        if len(listed) > MESSAGES:
            self.message_user(
                request, f"{len(listed) - MESSAGES} more were refused.", messages.ERROR
            )


def _possible(path: str, status: RunStatus) -> bool:
    """Whether the button at `path` may do something to a run in this status."""
    event = {"cancel": Event.CANCEL, "retry": Event.RETRY}.get(path)
    return event is None or status in statuses_before(event)


def reason(error: Exception) -> str:
    """The refusal in the words that the API uses."""
    return str(error) if isinstance(error, RuntimeError) else problem_of(error).detail


def to_page(name: str, request: HttpRequest, *args: Any) -> HttpResponse:
    """Go to a page of the admin, also from a dialog, which is sent by script."""
    response = redirect(name, *args)
    if "HX-Request" not in request.headers:
        return response
    return HttpResponse(headers={"HX-Redirect": response["Location"]})


def _outcome(run: TaskRun) -> str:
    if run.home == CONTROL_HOME:
        return f"The run is {run.status} now."
    return f"{run.home} is the run's home; it hears of this with its next report."
