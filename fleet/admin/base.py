"""What the fleet's admin pages share: read-only pages, labels and pretty JSON."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar

from django.db.models import BooleanField, DateTimeField, Model
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display

from fleet.models import Attempt
from fleet.policy.liveness import Liveness
from fleet.policy.states import AttemptStatus, RunStatus
from fleet.views.facts.shown_json import shown_json
from fleet.views.words import short_id

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
    """Lists that stay fast when the tables are long, with moments in one line each.

    Yes and no are words: a red cross reads like an error where "no" is as good as "yes".
    """

    list_per_page = 50
    show_full_result_count = False
    list_fullwidth = True

    class Media:
        css = {"all": ("fleet/admin.css",)}

    def get_list_display(self, request: HttpRequest) -> Any:
        """The columns; moments are compact, yes and no are words."""
        names = super().get_list_display(request)
        return [plain_column(self.model, name) or name for name in names]

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        """The columns that lead to the row's page."""
        links = super().get_list_display_links(request, list_display)
        return [plain_column(self.model, name) or name for name in links or ()]


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
    hide_title = True
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """All of them: a form would be built of the others, and some fields fit no form."""
        return tuple({*self.readonly_fields, *self.fields})


@cache
def plain_column(model: type[Model], name: Any) -> Callable[[Model], str] | None:
    """The column for a moment, or a yes and no, of `model`; None if `name` is neither."""
    field = next((f for f in model._meta.get_fields() if f.name == name), None)
    if isinstance(field, DateTimeField):
        title = f"{str(field.verbose_name).removesuffix(' at')} (UTC)"
        write: Callable[[Any], str] = compact_moment
    elif isinstance(field, BooleanField):
        title, write = str(field.verbose_name), yes_or_no
    else:
        return None

    @column(title, ordering=str(name))
    def shown(row: Model) -> str:
        return write(getattr(row, name))

    shown.__name__ = str(name)
    return shown


def yes_or_no(value: bool | None) -> str:
    """A yes or no in words."""
    return "-" if value is None else ("yes" if value else "no")


def compact_moment(moment: datetime | None) -> str:
    """A moment in UTC in one short line; the heading says UTC, and so does the title."""
    if moment is None:
        return "-"
    text = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return format_html(
        '<time class="fleet-line" datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        f"{text} UTC",
        text,
    )


def short_key(key: object) -> str:
    """The ends of a long key in one line; the title has all of it."""
    text = short_id(key) if key else "-"
    return format_html('<span class="fleet-line" title="{}">{}</span>', key or "", text)


def with_note(text: str, note: str) -> str:
    """A text and below it, smaller, what else is known."""
    if not note:
        return text
    return format_html('{}<span class="fleet-under">{}</span>', text, note)


def clipped(text: str) -> str:
    """Two lines of a text at most; the title has all of it."""
    return format_html('<span class="fleet-clip" title="{}">{}</span>', text, text or "-")


def late(attempt: Attempt) -> str:
    """Whether an attempt reported after it had been replaced; most did not, and say nothing."""
    return "reported too late" if attempt.stale else "-"


def together(names: Iterable[Any]) -> str:
    """A list of names as people write one: `dev, udm`."""
    return ", ".join(map(str, names)) or "-"


def pretty(value: Any) -> str:
    """JSON in indented form without the values of secrets, as safe HTML."""
    if value is None:
        return "-"
    return format_html('<pre class="fleet-json">{}</pre>', shown_json(value))
