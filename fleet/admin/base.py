"""What the fleet's admin pages share: read-only pages, labels and pretty JSON."""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display

from fleet.policy.liveness import Liveness
from fleet.policy.states import AttemptStatus, RunStatus

#: Colours of unfold's labels. The word stays in front: colour alone says nothing to some.
RUN_COLOURS: dict[str, str] = {
    RunStatus.READY: "info",
    RunStatus.RUNNING: "primary",
    RunStatus.SUCCESSFUL: "success",
    RunStatus.FAILED: "danger",
    RunStatus.CANCELLED: "default",
    RunStatus.DEAD: "danger",
}
ATTEMPT_COLOURS: dict[str, str] = {
    AttemptStatus.CREATED: "info",
    AttemptStatus.PUBLISHED: "info",
    AttemptStatus.RUNNING: "primary",
    AttemptStatus.SUCCESSFUL: "success",
    AttemptStatus.FAILED: "danger",
    AttemptStatus.LOST: "warning",
    AttemptStatus.VOID: "default",
}
LIVENESS_COLOURS: dict[str, str] = {
    Liveness.ALIVE: "success",
    Liveness.SUSPECT: "warning",
    Liveness.DEAD: "danger",
    Liveness.UNKNOWN: "default",
}


F = TypeVar("F", bound=Callable[..., Any])


def column(
    description: str, *, ordering: str | None = None, label: Mapping[str, str] | None = None
) -> Callable[[F], F]:
    """A method as a column or read-only field; `label` maps its words to colours."""
    decorate: Callable[[F], F] = display(description=description, ordering=ordering, label=label)
    return decorate


def button(description: str, **options: Any) -> Callable[[F], F]:
    """A method as a button of unfold's, with the options of its `action`."""
    decorate: Callable[[F], F] = action(description=description, **options)
    return decorate


class FleetAdmin(ModelAdmin):  # type: ignore[misc]
    """Lists that stay fast when the tables are long."""

    list_per_page = 50
    show_full_result_count = False
    list_fullwidth = True


class ReadOnlyAdmin(FleetAdmin):
    """Rows that only the fleet itself writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ReadOnlyInline(TabularInline):  # type: ignore[misc]
    """Rows of another table on a read-only page."""

    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """All of them: a form would be built of the others, and some fields fit no form."""
        return tuple({*self.readonly_fields, *self.fields})


def pretty(value: Any) -> str:
    """JSON in indented form, as safe HTML."""
    if value is None:
        return "-"
    text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
    return format_html('<pre class="whitespace-pre-wrap break-all">{}</pre>', text)
