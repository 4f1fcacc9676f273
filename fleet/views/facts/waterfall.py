"""The way a run went, as bars on one time axis: only what was reported."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from fleet.models import Attempt, TaskRun
from fleet.policy.states import AttemptStatus
from fleet.views.words import between, site_label

#: The axis has this many units; bars are drawn in them.
WIDTH = 1000.0
#: A moment, and any shorter bar, is drawn this wide, so that it can be seen.
THINNEST = 6.0

_RAN_TONES = {
    AttemptStatus.RUNNING: "info",
    AttemptStatus.FAILED: "bad",
    AttemptStatus.LOST: "bad",
    AttemptStatus.VOID: "off",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """`left` and `width` in units of the axis; `length_s` is None for a moment."""

    label: str
    tone: str
    left: float
    width: float
    length_s: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Waterfall:
    bars: tuple[Bar, ...]
    total_s: float


@dataclass(frozen=True, slots=True)
class _Span:
    label: str
    tone: str
    start: datetime
    end: datetime | None
    note: str = ""


def waterfall(run: TaskRun, attempts: Sequence[Attempt], now: datetime) -> Waterfall:
    """From the moment of acceptance to the end, or to `now` for a run that goes on."""
    end = run.finished_at or now
    spans = [
        _Span("accepted", "accent", run.enqueued_at, None),
        *_held_back(run, end),
        *(span for attempt in attempts for span in _attempt(attempt, len(attempts), end)),
    ]
    if run.finished_at:
        spans.append(_Span("finished", "accent", run.finished_at, None))
    last = max([end, *(span.end or span.start for span in spans)])
    total_s = between(run.enqueued_at, last) or 0.0
    return Waterfall(tuple(_bar(span, run.enqueued_at, total_s) for span in spans), total_s)


def _held_back(run: TaskRun, end: datetime) -> Iterator[_Span]:
    # After a failure `run_after` holds the next attempt's time; the attempts then tell more.
    if run.run_after and run.run_after > run.enqueued_at and run.attempts <= 1:
        yield _Span("held back", "off", run.enqueued_at, min(run.run_after, end))


def _attempt(attempt: Attempt, count: int, end: datetime) -> Iterator[_Span]:
    number = f" {attempt.number}" if count > 1 else ""
    if attempt.published_at:
        times = f"{attempt.times_published} times" if attempt.times_published > 1 else ""
        yield _Span(f"published{number}", "accent", attempt.published_at, None, times)
        waited_until = attempt.started_at or attempt.ended_at or end
        yield _Span(f"in the broker{number}", "warn", attempt.published_at, waited_until)
    if attempt.started_at:
        yield _ran(attempt, number, end)


def _ran(attempt: Attempt, number: str, end: datetime) -> _Span:
    status = AttemptStatus(attempt.status)
    place = f" at {site_label(attempt.site)}" if attempt.site else ""
    note = "lost" if status is AttemptStatus.LOST else ""
    tone = _RAN_TONES.get(status, "accent")
    assert attempt.started_at is not None  # noqa: S101  # the caller looked
    return _Span(f"ran{number}{place}", tone, attempt.started_at, attempt.ended_at or end, note)


def _bar(span: _Span, start: datetime, total_s: float) -> Bar:
    length_s = between(span.start, span.end)
    scale = WIDTH / total_s if total_s else 0.0
    width = min(WIDTH, max(THINNEST, (length_s or 0.0) * scale))
    left = min((between(start, span.start) or 0.0) * scale, WIDTH - width)
    return Bar(span.label, span.tone, round(left, 1), round(width, 1), length_s, span.note)
