"""How a run came to where it is, in one or a few sentences."""

from collections.abc import Sequence

from fleet.models import Attempt, RunEvent, TaskRun
from fleet.policy.states import AttemptStatus, RunStatus
from fleet.policy.states import RunEvent as Event
from fleet.views.words import between, duration, site_label

#: A run that began within this time did not wait in a way that needs words.
NOTICED_WAIT_S = 1.0


def story(
    run: TaskRun, attempts: Sequence[Attempt], events: Sequence[RunEvent], waits_because: str
) -> str:
    """`waits_because` is the reason of a run that waits, else ""."""
    sentences = [*_detours(attempts, events), _now(run, attempts, waits_because), *_end(run)]
    return " ".join(filter(None, sentences))


def _detours(attempts: Sequence[Attempt], events: Sequence[RunEvent]) -> list[str]:
    """What happened to the attempts that did not bring the result."""
    whys = [e.why for e in events if e.event in (Event.LOSE, Event.RETRY_LATER)]
    gone = [a for a in attempts[:-1] if a.status in (AttemptStatus.LOST, AttemptStatus.FAILED)]
    reasons = whys if len(whys) == len(gone) else [""] * len(gone)
    return [_detour(attempt, why) for attempt, why in zip(gone, reasons, strict=True)]


def _detour(attempt: Attempt, why: str) -> str:
    place = f" at {site_label(attempt.site)}" if attempt.site else ""
    lost = attempt.status == AttemptStatus.LOST
    ended = "was lost" if lost else "failed"
    fenced = " It can no longer commit." if lost else ""
    return f"Attempt {attempt.number}{place} {ended}{f': {why}' if why else ''}.{fenced}"


def _now(run: TaskRun, attempts: Sequence[Attempt], waits_because: str) -> str:
    if run.status == RunStatus.READY:
        return f"Waits: {waits_because}." if waits_because else "Waits."
    place = next((site_label(a.site) for a in reversed(attempts) if a.site), "")
    where = f" at {place}" if place else ""
    if run.status == RunStatus.RUNNING:
        return f"Runs{where}."
    waited_s, ran_s = between(run.enqueued_at, run.started_at), None
    if run.started_at is not None:
        ran_s = between(run.started_at, run.finished_at)
    if waited_s is None or ran_s is None:
        return "It never started." if run.started_at is None else ""
    waited = f"Waited {duration(waited_s)}, then ran" if waited_s >= NOTICED_WAIT_S else "Ran"
    return f"{waited}{where} for {duration(ran_s)}."


def _end(run: TaskRun) -> list[str]:
    if run.status not in (RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.DEAD):
        return []
    reason = run.reason.rstrip(".")
    return [f"{reason[:1].upper()}{reason[1:]}."] if reason else []
