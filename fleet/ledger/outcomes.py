"""Claims, outcomes and losses that a journal reports, applied by the fencing token.

An outcome is committed if and only if its token is the run's current one and the run has not
finished; anything else is kept with its attempt as a stale result.
"""

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from fleet.ledger.loss import lose_run
from fleet.ledger.transitions import move
from fleet.models import CONTROL_HOME, Attempt, HomeMail, SecurityEvent, Site, TaskRun
from fleet.policy.contracts import TaskContract
from fleet.policy.effects import EffectClass
from fleet.policy.retry import after_failure
from fleet.policy.routing import split_queue
from fleet.policy.states import RunEvent, RunStatus
from tasks.wire import Entry, Outcome, OutcomeStatus


def take_claim(site: Site, entry: Entry) -> None:
    """A worker has claimed an attempt: READY becomes RUNNING."""
    run = _current(site, entry)
    if run is None or run.status != RunStatus.READY or not run.open_attempt:
        return
    changes = {"started_at": entry.at, "worker_id": entry.worker_id}
    move(
        run,
        RunEvent.CLAIM,
        now=entry.at,
        who=entry.worker_id,
        why=f"attempt {entry.attempt} claimed at {site.pk}",
        changes=changes,
        attempt_changes={
            "started_at": entry.at,
            "seen_at": entry.at,
            "site": site.pk,
            "worker_id": entry.worker_id,
        },
    )


def take_outcome(site: Site, entry: Entry) -> None:
    """An attempt has ended at its worker."""
    outcome = Outcome(**entry.payload)
    run = _current(site, entry)
    if run is None or run.status != RunStatus.RUNNING:
        _keep_stale(site, entry)
        return
    if outcome.status is OutcomeStatus.SUCCESSFUL:
        _succeed(run, entry, outcome)
    else:
        _fail(run, entry, outcome)


def take_loss(site: Site, entry: Entry) -> None:
    """The process that ran an attempt has ended."""
    run = _current(site, entry)
    if run is not None and run.status == RunStatus.RUNNING:
        lose_run(run, str(entry.payload.get("why", "lost")), entry.at, who=f"agent of {site.pk}")


def _succeed(run: TaskRun, entry: Entry, outcome: Outcome) -> None:
    changes = {
        "return_value": outcome.return_value,
        "result_meta": outcome.result_meta,
        "error": None,
        "worker_id": entry.worker_id,
    }
    move(
        run,
        RunEvent.SUCCEED,
        now=entry.at,
        who=entry.worker_id,
        why=f"attempt {entry.attempt} returned",
        changes=changes,
        attempt_changes={"outcome": entry.payload},
    )


def _fail(run: TaskRun, entry: Entry, outcome: Outcome) -> None:
    error = outcome.error or {}
    decision = after_failure(
        _contract(run),
        run.attempts,
        transient=bool(error.get("transient")),
        jitter=random.random(),  # noqa: S311
        asked_delay_s=outcome.asked_delay_s,
    )
    changes: dict[str, Any] = {"error": error, "worker_id": entry.worker_id}
    if decision.event is RunEvent.RETRY_LATER:
        changes |= {"run_after": entry.at + timedelta(seconds=decision.delay_s)}
    why = f"{error.get('kind', 'error')}: {error.get('message', '')}"[:150]
    move(
        run,
        decision.event,
        now=entry.at,
        who=entry.worker_id,
        why=f"{why}; {decision.reason}",
        changes=changes,
        attempt_changes={"outcome": entry.payload},
    )


def _contract(run: TaskRun) -> TaskContract:
    """The task's own contract where this version knows it; the row's limits in any case."""
    from tasks import app

    task = app.tasks.get(run.task)
    known: TaskContract | None = getattr(task, "contract", None)
    base = known or TaskContract(name=run.task, capability=run.capability)
    return replace(base, effect=EffectClass(run.effect), max_attempts=run.max_attempts)


def _current(site: Site, entry: Entry) -> TaskRun | None:
    """The run whose current attempt the entry speaks of; None if it is another home's, stale or
    not this site's to report."""
    if entry.home != CONTROL_HOME:
        _forward(site, entry)
        return None
    run = TaskRun.objects.filter(pk=UUID(entry.run_id), home=CONTROL_HOME).first()
    if run is None or run.token != entry.token:
        return None
    queue = Attempt.objects.values_list("queue_name", flat=True).get(token=entry.token)
    if not _serves(site, queue):
        SecurityEvent.objects.create(
            at=entry.at,
            site=site.pk,
            kind="foreign report",
            task=run.task,
            run_id=entry.run_id,
            worker_id=entry.worker_id,
            detail=f"reported an attempt of the queue {queue}",
        )
        return None
    return run


def _serves(site: Site, queue: str) -> bool:
    return split_queue(queue)[1] in (None, site.pk)


def _keep_stale(site: Site, entry: Entry) -> None:
    """Somebody may want to look at it: the attempt keeps what it reported."""
    if entry.home != CONTROL_HOME:
        return
    mine = Attempt.objects.filter(
        token=entry.token, run_id=UUID(entry.run_id), run__home=CONTROL_HOME, outcome__isnull=True
    )
    for attempt in mine:
        if _serves(site, attempt.queue_name):
            attempt.outcome, attempt.stale = entry.payload, True
            attempt.save(update_fields=("outcome", "stale"))


def _forward(site: Site, entry: Entry) -> None:
    """The run's home is another site: it hears of this in the answer to its next report."""
    if entry.home == site.pk or not Site.objects.filter(pk=entry.home).exists():
        return
    HomeMail.objects.create(
        site_id=entry.home,
        kind=entry.kind.value,
        created_at=entry.at,
        payload={**entry.model_dump(mode="json"), "site": site.pk},
    )
