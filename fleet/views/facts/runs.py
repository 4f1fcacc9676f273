"""Runs as rows of a list: status in words, why one waits, how long it waited and ran."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from fleet.ledger.store import LedgerStore
from fleet.models import CONTROL_HOME, Attempt, BrokerView, TaskRun
from fleet.policy import waiting
from fleet.policy.states import OPEN_ATTEMPTS, RunStatus
from fleet.views.words import between, short_id, site_label

TONES = {
    RunStatus.READY: "warn",
    RunStatus.RUNNING: "info",
    RunStatus.SUCCESSFUL: "ok",
    RunStatus.FAILED: "bad",
    RunStatus.CANCELLED: "off",
    RunStatus.DEAD: "bad",
}
WORDS = {
    RunStatus.READY: "waits",
    RunStatus.RUNNING: "running",
    RunStatus.SUCCESSFUL: "successful",
    RunStatus.FAILED: "failed",
    RunStatus.CANCELLED: "cancelled",
    RunStatus.DEAD: "needs a person",
}
#: What a list does not show, and need not read: these columns can be large.
LARGE = ("args", "kwargs", "return_value", "result_meta")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """`place` is where the last attempt ran, or where it is pinned to; `why` is one sentence.

    `waits_since` and `runs_since` are set while the run waits or runs, `waited_s` and `ran_s`
    once that is over.
    """

    id: UUID
    short: str
    task: str
    place: str
    worker: str
    word: str
    tone: str
    why: str
    enqueued_at: datetime
    waits_since: datetime | None
    waited_s: float | None
    runs_since: datetime | None
    ran_s: float | None


def for_list(runs: QuerySet[TaskRun]) -> QuerySet[TaskRun]:
    """The same runs without their large columns."""
    return runs.defer(*LARGE)


def run_rows(runs: Sequence[TaskRun], view: BrokerView, now: datetime) -> tuple[RunRow, ...]:
    """Rows in the same order: two queries at most, however many runs."""
    reasons = waiting_reasons(runs, view, now)
    places = _places(runs)
    return tuple(_row(run, reasons.get(run.pk, ""), places.get(run.token, "")) for run in runs)


def waiting_reasons(runs: Sequence[TaskRun], view: BrokerView, now: datetime) -> Mapping[UUID, str]:
    """Why each of the runs that are READY waits, in the words of `fleet.policy.waiting`."""
    ready = [run for run in runs if run.status == RunStatus.READY]
    if not ready:
        return {}
    supply = LedgerStore().supply(now)
    tokens = [run.token for run in ready if run.open_attempt]
    published = _published(tokens) if tokens else frozenset()
    return {
        run.pk: waiting.reason(
            now=now,
            run_after=run.run_after,
            published=run.open_attempt and run.token in published,
            broker_away=view.away_reason if view.away_since else "",
            home="" if run.home == CONTROL_HOME else run.home,
            queue=run.queue_name,
            supply=supply,
            last_reason=run.reason,
        )
        for run in ready
    }


def status_words(run: TaskRun) -> str:
    """The status in a word or two, with the attempt where it was not the first."""
    word = WORDS[RunStatus(run.status)]
    return f"{word}, attempt {run.attempts}" if run.attempts > 1 else word


def _published(tokens: Sequence[int]) -> frozenset[int]:
    attempts = Attempt.objects.filter(
        token__in=tokens, status__in=OPEN_ATTEMPTS, published_at__isnull=False
    )
    return frozenset(attempts.values_list("token", flat=True))


def _places(runs: Sequence[TaskRun]) -> dict[int, str]:
    """The site of the newest attempt, by its token."""
    tokens = [run.token for run in runs if run.token and run.worker_id]
    if not tokens:
        return {}
    found = Attempt.objects.filter(token__in=tokens).exclude(site="")
    return dict(found.values_list("token", "site"))


def _row(run: TaskRun, waits_because: str, place: str) -> RunRow:
    ready = run.status == RunStatus.READY
    running = run.status == RunStatus.RUNNING
    return RunRow(
        id=run.pk,
        short=short_id(run.pk),
        task=run.task,
        place=site_label(place or run.site),
        worker=run.worker_id,
        word=status_words(run),
        tone=TONES[RunStatus(run.status)],
        why=waits_because or _why(run),
        enqueued_at=run.enqueued_at,
        waits_since=run.enqueued_at if ready else None,
        waited_s=None if ready else between(run.enqueued_at, run.started_at or run.finished_at),
        runs_since=run.started_at if running else None,
        ran_s=None if running or ready else between(run.started_at, run.finished_at),
    )


def _why(run: TaskRun) -> str:
    """What an unhappy end says of itself; a happy one needs no reason."""
    if run.status in (RunStatus.SUCCESSFUL, RunStatus.RUNNING):
        return ""
    if isinstance(run.error, dict) and run.error.get("message"):
        return str(run.error["message"])[:300]
    return run.reason
