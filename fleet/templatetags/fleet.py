"""How the pages write moments, ages, durations and levels.

The tags read `now` from the page's context, so that all of one page speaks of the same moment.
"""

import re
from datetime import datetime
from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from fleet.policy.contracts import TaskContract
from fleet.views import words

register = template.Library()

NOT_REPORTED = format_html('<span class="{}">{}</span>', "none", "not reported")
#: From these levels on, in percent, a meter asks for attention.
WARN_PERCENT = 80
BAD_PERCENT = 93


@register.simple_tag(takes_context=True)
def age(context: dict[str, Any], moment: datetime | None) -> SafeString:
    """How long ago `moment` was; the browser counts it up."""
    if moment is None:
        return NOT_REPORTED
    seconds = max(0.0, (context["now"] - moment).total_seconds())
    return format_html(
        '<time class="age" datetime="{}" title="{}" data-age-s="{}">{}</time>',
        moment.isoformat(),
        _full(moment),
        f"{seconds:.1f}",
        words.age(seconds),
    )


@register.simple_tag(takes_context=True)
def clock(context: dict[str, Any], moment: datetime | None) -> SafeString:
    """The time of day in UTC, with the date unless it is today's."""
    if moment is None:
        return format_html('<span class="none">{}</span>', "—")
    today = moment.date() == context["now"].date()
    shown = f"{moment:%H:%M:%S}" if today else f"{moment:%b} {moment.day}, {moment:%H:%M}"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', moment.isoformat(), _full(moment), shown
    )


@register.filter
def duration(seconds: float | None) -> str:
    """A duration; a dash where there is none."""
    return "—" if seconds is None else words.duration(seconds)


@register.filter
def moment_text(moment: datetime) -> str:
    """A full moment, for people."""
    return _full(moment)


@register.filter
def reported(value: Any) -> Any:
    """The value, or the words for one that nobody reported."""
    return NOT_REPORTED if value is None or value == "" else value


@register.filter
def percent(value: float | None) -> str | SafeString:
    """A percentage, or the words for one that nobody reported."""
    return NOT_REPORTED if value is None else words.percent(value)


@register.filter
def node(worker_id: str) -> str:
    """A worker's name without the prefix that all Celery nodes share."""
    return worker_id.removeprefix("celery@")


@register.filter
def inline_code(text: str) -> SafeString:
    """A line of a docstring: what stands between backticks is code."""
    parts = re.split(r"`+([^`]+)`+", text)
    return format_html_join(
        "",
        "{}",
        (
            (format_html("<code>{}</code>", part) if odd % 2 else part,)
            for odd, part in enumerate(parts)
        ),
    )


@register.filter
def paragraphs(text: str) -> SafeString:
    """A docstring as paragraphs, whatever its line breaks."""
    joined = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()))
    return format_html_join("\n", "<p>{}</p>", ((inline_code(part),) for part in joined))


@register.filter
def allowed(contract: TaskContract) -> str:
    """How often the machine starts the task."""
    return words.attempts_allowed(contract.effect, contract.max_attempts)


@register.filter
def level(value: float | None) -> str:
    """The tone of a level in percent: accent, warn or bad."""
    if value is None or value < WARN_PERCENT:
        return "accent"
    return "bad" if value >= BAD_PERCENT else "warn"


@register.filter
def share(value: float | None) -> str:
    """A percentage as a length from 0 to 100 for a drawing, whatever the language."""
    return f"{min(100.0, max(0.0, value or 0.0)):.1f}"


@register.filter
def coordinate(value: float) -> str:
    """A number for a drawing, whatever the language."""
    return f"{value:.1f}"


def _full(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
