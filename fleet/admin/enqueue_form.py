"""The form that enqueues one task: its parameters, then where and when."""

from datetime import UTC
from typing import Any

from celery import Celery
from django import forms
from unfold.widgets import (
    INPUT_CLASSES,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from fleet.admin.signature import call_arguments, parameters_of
from fleet.policy.errors import FleetError, KeyConflictError, UnknownNameError
from fleet.policy.priority import Priority
from tasks.call import MAX_KEY_CHARS, Call, make_call
from tasks.settings import settings

#: Options in the order in which they are asked; messages about them begin with their names.
OPTIONS = ("site", "priority", "run_after", "expires_at", "idempotency_key")


def _moment(label: str, help_text: str) -> forms.DateTimeField:
    widget = forms.DateTimeInput(
        attrs={"type": "datetime-local", "step": "1", "class": " ".join(INPUT_CLASSES)},
        format="%Y-%m-%dT%H:%M:%S",
    )
    return forms.DateTimeField(
        label=f"{label} (UTC)", help_text=help_text, required=False, widget=widget
    )


class EnqueueForm(forms.Form):
    """A form for one task; after `is_valid()`, `call` is the checked call."""

    call: Call

    def __init__(self, app: Celery, task: str, data: Any = None) -> None:
        super().__init__(data)
        self._app, self._task = app, task
        self.parameters = parameters_of(app.tasks[task].run)
        for parameter in self.parameters:
            self.fields[parameter.key] = parameter.field
        self.fields.update(_options())

    def clean(self) -> dict[str, Any]:
        """Check the call as every other road does; its refusals go beside their fields."""
        data: dict[str, Any] = super().clean() or {}
        if self.errors:
            return data
        args, kwargs = call_arguments(self.parameters, data)
        try:
            self.call = make_call(self._app, self._task, args, kwargs, **_chosen(data))
        except FleetError as error:
            self.refuse(error)
        return data

    def refuse(self, error: FleetError) -> None:
        """Show a refusal beside the field that it is about."""
        self.add_error(_field_of(error), str(error))

    def argument_fields(self) -> list[forms.BoundField]:
        """The task's parameters."""
        return [self[parameter.key] for parameter in self.parameters]

    def option_fields(self) -> list[forms.BoundField]:
        """Where and when."""
        return [self[name] for name in OPTIONS]


def _options() -> dict[str, forms.Field]:
    sites = [("", "any site that has the capability"), *((s, s) for s in settings().sites)]
    priorities = [(p.name.lower(), p.name.lower()) for p in Priority]
    return {
        "site": forms.ChoiceField(choices=sites, required=False, widget=UnfoldAdminSelectWidget()),
        "priority": forms.ChoiceField(
            choices=priorities, initial="normal", widget=UnfoldAdminSelectWidget()
        ),
        "run_after": _moment("Run after", "Not before this moment"),
        "expires_at": _moment("Expires at", "Not started after this moment"),
        "idempotency_key": forms.CharField(
            required=False,
            max_length=MAX_KEY_CHARS,
            empty_value=None,  # no key at all, not an empty one
            help_text="The same key with the same content gives the first run again",
            widget=UnfoldAdminTextInputWidget(),
        ),
    }


def _chosen(data: dict[str, Any]) -> dict[str, Any]:
    """The options for `make_call`; a moment that has no zone was asked for in UTC."""
    moments = {
        name: data[name] and data[name].astimezone(UTC) for name in ("run_after", "expires_at")
    }
    return {
        "site": data["site"] or None,
        "priority": data["priority"],
        "idempotency_key": data["idempotency_key"],
        **moments,
    }


def _field_of(error: FleetError) -> str | None:
    if isinstance(error, KeyConflictError):
        return "idempotency_key"
    if isinstance(error, UnknownNameError) and error.kind in OPTIONS:
        return error.kind
    return next((name for name in OPTIONS if str(error).startswith(name)), None)
