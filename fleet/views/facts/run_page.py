"""Everything on the page of one run."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from fleet.models import CONTROL_HOME, Attempt, RunEvent, TaskRun
from fleet.policy.effects import EffectClass
from fleet.policy.priority import priority_name
from fleet.policy.states import AttemptStatus, RunStatus, statuses_before
from fleet.policy.states import RunEvent as Event
from fleet.views.facts import reported
from fleet.views.facts.fleet import broker_view
from fleet.views.facts.runs import TONES, status_words, waiting_reasons
from fleet.views.facts.shown_json import shown_json
from fleet.views.facts.story import story
from fleet.views.facts.waterfall import Waterfall, waterfall
from fleet.views.words import attempts_made, between, site_label

EFFECTS = {
    EffectClass.A: "A, may run again",
    EffectClass.B: "B, keyed: its sink knows repetitions",
    EffectClass.C: "C, fenced by its token",
    EffectClass.D: "D, never started twice by itself",
}
ATTEMPT_TONES = {
    AttemptStatus.CREATED: "off",
    AttemptStatus.PUBLISHED: "warn",
    AttemptStatus.RUNNING: "info",
    AttemptStatus.SUCCESSFUL: "ok",
    AttemptStatus.FAILED: "bad",
    AttemptStatus.LOST: "bad",
    AttemptStatus.VOID: "off",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of the facts' list; `kind` says how the value is written: text, mono, moment."""

    name: str
    value: Any
    kind: str = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    number: int
    token: int
    place: str
    worker: str
    published_at: datetime | None
    times_published: int
    started_at: datetime | None
    ended_at: datetime | None
    ran_s: float | None
    word: str
    tone: str
    stale: bool


@dataclass(frozen=True, slots=True)
class EventRow:
    at: datetime
    event: str
    change: str
    why: str
    who: str
    tone: str


@dataclass(frozen=True, slots=True)
class ErrorFacts:
    kind: str
    message: str
    blame: str
    transient: bool | None
    traceback: str


@dataclass(frozen=True, slots=True)
class KeptFacts:
    """A result that stayed at its site."""

    summary: str | None
    size_bytes: float | None
    digest: str | None
    place: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    id: UUID
    task: str
    word: str
    tone: str
    story: str
    waterfall: Waterfall
    facts: tuple[Fact, ...]
    attempts: tuple[AttemptRow, ...]
    events: tuple[EventRow, ...]
    arguments: str
    result: str | None
    kept: KeptFacts | None
    error: ErrorFacts | None
    successful: bool
    finished: bool
    may_cancel: bool
    may_retry: bool
    in_flower: bool


def run_facts(run: TaskRun, now: datetime) -> RunFacts:
    """The run as the ledger knows it at `now`: five queries at most besides the run's own."""
    attempts = list(run.attempt_set.order_by("number", "pk"))
    events = list(run.events.all())
    status = RunStatus(run.status)
    waits = waiting_reasons([run], broker_view(), now) if status is RunStatus.READY else {}
    return RunFacts(
        id=run.pk,
        task=run.task,
        word=status_words(run),
        tone=TONES[status],
        story=story(run, attempts, events, waits.get(run.pk, "")),
        waterfall=waterfall(run, attempts, now),
        facts=_facts(run),
        attempts=tuple(map(_attempt, reversed(attempts))),
        events=tuple(map(_event, events)),
        arguments=shown_json({"args": run.args, "kwargs": run.kwargs}),
        result=_result(run),
        kept=_kept(run),
        error=_error(run),
        successful=status is RunStatus.SUCCESSFUL,
        finished=run.finished_at is not None,
        may_cancel=status in statuses_before(Event.CANCEL),
        may_retry=status in statuses_before(Event.RETRY),
        in_flower=any(attempt.started_at for attempt in attempts),
    )


def _facts(run: TaskRun) -> tuple[Fact, ...]:
    known = (
        Fact("queue", run.queue_name),
        Fact("pinned to", site_label(run.site)),
        Fact("asked by", run.enqueued_by),
        Fact("asked", run.enqueued_at, "moment"),
        Fact("not before", run.run_after, "moment"),
        Fact("expires", run.expires_at, "moment"),
        Fact("effect class", EFFECTS[EffectClass(run.effect)]),
        Fact("priority", priority_name(run.priority)),
        Fact("attempts", attempts_made(run.effect, run.attempts, run.max_attempts)),
        Fact("home", "control plane" if run.home == CONTROL_HOME else site_label(run.home)),
        Fact("worker", run.worker_id, "mono"),
        Fact("idempotency key", run.idempotency_key, "mono"),
        Fact("group", run.group_id, "mono"),
    )
    return tuple(fact for fact in known if fact.value)


def _attempt(attempt: Attempt) -> AttemptRow:
    status = AttemptStatus(attempt.status)
    return AttemptRow(
        number=attempt.number,
        token=attempt.token,
        place=site_label(attempt.site),
        worker=attempt.worker_id,
        published_at=attempt.published_at,
        times_published=attempt.times_published,
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        ran_s=between(attempt.started_at, attempt.ended_at),
        word=status.lower(),
        tone=ATTEMPT_TONES[status],
        stale=attempt.stale,
    )


def _event(event: RunEvent) -> EventRow:
    tone = TONES.get(event.to_status, "off")  # type: ignore[call-overload]
    change = " → ".join(filter(None, (event.from_status.lower(), event.to_status.lower())))
    return EventRow(event.at, event.event, change, event.why, event.who, tone)


def _result(run: TaskRun) -> str | None:
    if run.status != RunStatus.SUCCESSFUL or run.result_meta:
        return None
    return shown_json(run.return_value)


def _kept(run: TaskRun) -> KeptFacts | None:
    meta = reported.table(run.result_meta)
    if not meta:
        return None
    return KeptFacts(
        reported.text(meta, "summary"),
        reported.number(meta, "size_bytes"),
        reported.text(meta, "digest"),
        reported.text(meta, "place"),
    )


def _error(run: TaskRun) -> ErrorFacts | None:
    error = reported.table(run.error)
    if not error:
        return None
    transient = error.get("transient")
    return ErrorFacts(
        reported.text(error, "kind") or "Error",
        str(error.get("message") or ""),
        reported.text(error, "blame") or "",
        transient if isinstance(transient, bool) else None,
        str(error.get("traceback") or ""),
    )
