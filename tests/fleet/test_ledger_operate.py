"""Changes of a run's status: compare-and-set, with an event row each; what a person may ask."""

import uuid
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from fleet.ledger import operate
from fleet.ledger.transitions import move
from fleet.models import HomeMail, RunEvent, TaskRun
from fleet.policy.states import (
    FINISHED,
    OPEN_ATTEMPTS,
    TRANSITIONS,
    AttemptStatus,
    IllegalTransitionError,
    RunStatus,
)
from fleet.policy.states import RunEvent as Happening
from tests.fleet.api_calls import make_run, make_site
from tests.fleet.ledger_rows import NOW, attempt_of, enqueue, later, publish
from tests.fleet.races import at_once, shared_database

pytestmark = pytest.mark.django_db


def happen(run: TaskRun, event: Happening, **changes: Any) -> bool:
    return move(run, event, now=NOW, why=f"because {event}", who="ada", changes=changes)


def test_a_change_is_written_with_when_from_to_why_and_who() -> None:
    run = enqueue()
    assert happen(run, Happening.CLAIM)
    last = run.events.last()
    assert last is not None
    assert (last.event, last.from_status, last.to_status) == ("claim", "READY", "RUNNING")
    assert (last.why, last.who, last.at) == ("because claim", "ada", NOW)
    stored = TaskRun.objects.get()
    assert (run.status, stored.status, stored.reason) == ("RUNNING", "RUNNING", "because claim")


def test_an_illegal_change_writes_nothing() -> None:
    run = enqueue()
    with pytest.raises(IllegalTransitionError):
        happen(run, Happening.SUCCEED)
    assert TaskRun.objects.get().status == "READY"
    assert RunEvent.objects.count() == 1


class CutError(Exception):
    """Stands for the end of the process."""


def cut_before_the_event(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    if "fleet_runevent" in sql:
        raise CutError
    return execute(sql, params, many, context)


def test_a_change_that_is_cut_before_its_event_is_written_has_not_happened() -> None:
    run = enqueue()
    publish(run)
    with connection.execute_wrapper(cut_before_the_event), pytest.raises(CutError):
        happen(run, Happening.CANCEL)
    stored = TaskRun.objects.get()
    assert (stored.status, stored.open_attempt) == ("READY", True)
    assert attempt_of(stored).status in OPEN_ATTEMPTS


def test_of_two_who_read_the_same_run_the_first_to_write_wins() -> None:
    run = enqueue()
    one, other = TaskRun.objects.get(), TaskRun.objects.get()
    assert happen(one, Happening.CANCEL)
    assert not happen(other, Happening.CLAIM)
    assert other.status == "READY"
    run.refresh_from_db()
    assert run.status == "CANCELLED"
    assert RunEvent.objects.count() == 2


def test_who_read_an_older_attempt_loses_even_if_the_status_is_the_same() -> None:
    run = enqueue()
    old = TaskRun.objects.get()
    publish(run)
    assert not happen(old, Happening.CANCEL)
    assert TaskRun.objects.get().status == "READY"


@pytest.mark.django_db(transaction=True)
def test_of_two_who_cancel_at_once_one_wins_and_one_event_is_written(tmp_path: Path) -> None:
    run = enqueue()
    copies = [TaskRun.objects.get(), TaskRun.objects.get()]
    with shared_database(tmp_path):
        answers = at_once(*(partial(happen, copy, Happening.CANCEL) for copy in copies))
        (events,) = at_once(RunEvent.objects.filter(run=run, event="cancel").count)
    assert sorted(answers) == [False, True]
    assert events == 1


def reach(status: RunStatus) -> TaskRun:
    """A run in this status, brought there by legal steps."""
    run = enqueue()
    publish(run)
    steps = {
        RunStatus.READY: [],
        RunStatus.RUNNING: [Happening.CLAIM],
        RunStatus.SUCCESSFUL: [Happening.CLAIM, Happening.SUCCEED],
        RunStatus.FAILED: [Happening.CLAIM, Happening.FAIL],
        RunStatus.CANCELLED: [Happening.CANCEL],
        RunStatus.DEAD: [Happening.BURY],
    }
    for step in steps[status]:
        assert happen(run, step)
    return run


@pytest.mark.parametrize("status", RunStatus)
def test_what_is_possible_is_done_and_all_else_is_refused(status: RunStatus) -> None:
    for ask, event in ((operate.cancel, Happening.CANCEL), (operate.retry, Happening.RETRY)):
        run = reach(status)
        before = RunEvent.objects.filter(run=run).count()
        after = TRANSITIONS.get((status, event))
        if after is None:
            with pytest.raises(IllegalTransitionError):
                ask(run.pk, who="ada")
            assert RunEvent.objects.filter(run=run).count() == before
        else:
            assert ask(run.pk, who="ada", why="a reason").status == after
            last = run.events.last()
            assert last is not None
            assert (last.who, last.why, last.to_status) == ("ada", "a reason", after)


def test_an_unknown_run_is_not_found() -> None:
    with pytest.raises(TaskRun.DoesNotExist):
        operate.cancel(uuid.uuid4(), who="ada")


@pytest.mark.parametrize("status", sorted(FINISHED))
def test_a_finished_run_has_no_open_attempt_and_an_end(status: RunStatus) -> None:
    run = reach(status)
    run.refresh_from_db()
    assert (run.open_attempt, run.finished_at) == (False, NOW)
    assert attempt_of(run).status not in OPEN_ATTEMPTS
    assert attempt_of(run).ended_at == NOW


def test_a_cancelled_attempt_is_void() -> None:
    assert attempt_of(reach(RunStatus.CANCELLED)).status == AttemptStatus.VOID


def test_a_retried_run_starts_afresh_and_may_be_attempted_once_more() -> None:
    run = enqueue(expires_at=later(60), run_after=later(30))
    publish(run)
    assert happen(run, Happening.CLAIM)
    assert happen(run, Happening.FAIL, error={"kind": "X"})
    retried = operate.retry(run.pk, who="ada")
    retried.refresh_from_db()
    assert (retried.status, retried.finished_at, retried.error) == ("READY", None, None)
    assert (retried.run_after, retried.expires_at) == (None, None)
    assert retried.max_attempts == retried.attempts + 1 == 2
    assert not retried.open_attempt
    assert publish(retried).attempt == 2


def test_a_run_of_another_home_is_asked_for_and_not_touched() -> None:
    make_site("dc1", 1)
    run = make_run(home="dc1", status="RUNNING")
    assert operate.cancel(run.pk, who="ada", why="enough").status == "RUNNING"
    mail = HomeMail.objects.get()
    assert (mail.site_id, mail.kind) == ("dc1", "cancel")
    assert mail.payload == {"run_id": str(run.pk), "who": "ada", "why": "enough"}
    assert not RunEvent.objects.exists()
    with pytest.raises(IllegalTransitionError):
        operate.retry(run.pk, who="ada")
    assert HomeMail.objects.count() == 1


class AnyHistory(TestCase):
    """Whatever is tried in whatever order, the event rows tell the status."""

    @given(st.lists(st.sampled_from([*Happening, "publish"]), max_size=12))
    @hypothesis_settings(
        max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    def test_replaying_the_events_gives_the_status(self, steps: list[Any]) -> None:
        run = enqueue()
        now = NOW
        for step in steps:
            now += timedelta(seconds=1)
            if step == "publish" and run.status == "READY" and not run.open_attempt:
                publish(run, now=now)
                run.refresh_from_db()
            elif (RunStatus(run.status), step) in TRANSITIONS:
                assert move(run, step, now=now, why="", who="ada")
        run.refresh_from_db()
        replayed = ""
        for event in run.events.all():
            assert event.from_status == replayed
            if replayed:
                step = (RunStatus(event.from_status), Happening(event.event))
                assert TRANSITIONS[step] == event.to_status
            replayed = event.to_status
        assert replayed == run.status
        open_attempts = run.attempt_set.filter(status__in=OPEN_ATTEMPTS).count()
        assert open_attempts == int(run.open_attempt)
        assert run.attempts == run.attempt_set.count()
