"""Reports of sites: in order, once, for their own site, and by the fencing token."""

from collections.abc import Callable
from typing import Any

import pytest

from fleet.ledger import operate
from fleet.ledger.ingest import ForeignSiteError, SequenceGapError, ingest
from fleet.ledger.store import LedgerStore
from fleet.models import Journal, RunEvent, SecurityEvent, TaskRun
from fleet.policy.states import AttemptStatus
from tasks.wire import Entry, EntryKind
from tests.fleet.api_calls import make_site
from tests.fleet.ledger_rows import (
    NOW,
    WORKER,
    Box,
    attempt_of,
    enqueue,
    later,
    publish,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def dc1(db: None) -> Box:
    return Box(make_site("dc1", 1))


@pytest.fixture
def dc2(db: None) -> Box:
    return Box(make_site("dc2", 2))


@pytest.fixture
def run(db: None) -> TaskRun:
    """A published run of class A that any site may take."""
    made = enqueue()
    publish(made)
    return made


def status(run: TaskRun) -> str:
    run.refresh_from_db()
    return run.status


def test_a_claim_and_an_outcome_are_committed(dc1: Box, run: TaskRun) -> None:
    assert dc1.send(dc1.claimed(run)).ack == 1
    assert status(run) == "RUNNING"
    assert (run.started_at, run.worker_id) == (NOW, WORKER)
    assert (attempt_of(run).status, attempt_of(run).site) == ("RUNNING", "dc1")
    assert dc1.send(dc1.finished(run, {"a": 1})).ack == 2
    assert status(run) == "SUCCESSFUL"
    assert (run.return_value, run.error, run.open_attempt) == ({"a": 1}, None, False)
    attempt = attempt_of(run)
    assert (attempt.status, attempt.stale) == ("SUCCESSFUL", False)
    assert attempt.outcome is not None
    assert [e.event for e in run.events.all()] == ["enqueue", "claim", "succeed"]


def test_a_repeated_report_changes_nothing_and_is_acknowledged_again(
    dc1: Box, run: TaskRun
) -> None:
    report = dc1.report(dc1.claimed(run), dc1.finished(run))
    first = ingest(dc1.site, report, NOW)
    events = RunEvent.objects.count()
    assert ingest(dc1.site, report, NOW) == first
    assert RunEvent.objects.count() == events
    assert status(run) == "SUCCESSFUL"


def test_a_report_that_overlaps_is_taken_from_where_the_last_one_ended(
    dc1: Box, run: TaskRun
) -> None:
    lines = [dc1.claimed(run), dc1.finished(run)]
    assert dc1.send(lines[0]).ack == 1
    assert dc1.send(*lines).ack == 2
    assert [e.event for e in run.events.all()] == ["enqueue", "claim", "succeed"]


@pytest.mark.parametrize("first_seq", [1, 3])
def test_a_report_with_a_gap_is_refused_with_the_number_that_is_expected(
    dc1: Box, run: TaskRun, first_seq: int
) -> None:
    lines = [dc1.claimed(run), dc1.finished(run), dc1.claimed(run)]
    dc1.send(lines[0])
    with pytest.raises(SequenceGapError, match="expected line 2 of the journal, got 3") as gap:
        dc1.send(lines[2], first_seq=first_seq)
    assert gap.value.expected == 2
    assert status(run) == "RUNNING"
    assert Journal.objects.get().acked_seq == 1


def test_a_heartbeat_alone_may_not_skip_lines(dc1: Box) -> None:
    with pytest.raises(SequenceGapError, match="expected line 1 of the journal, got 5"):
        dc1.send(first_seq=5)


def test_a_gap_within_a_report_undoes_the_whole_report(dc1: Box, run: TaskRun) -> None:
    lines = [dc1.claimed(run), dc1.finished(run), dc1.finished(run)]
    with pytest.raises(SequenceGapError):
        dc1.send(lines[0], lines[2])
    assert status(run) == "READY"
    assert not Journal.objects.exists()


def test_each_journal_counts_for_itself(dc1: Box, run: TaskRun) -> None:
    other = Box(dc1.site)
    dc1.send(dc1.claimed(run))
    assert other.send(other.line(EntryKind.REFUSED)).ack == 1
    assert set(Journal.objects.values_list("pk", "acked_seq")) == {
        (dc1.journal, 1),
        (other.journal, 1),
    }


@pytest.mark.parametrize(
    "wrong",
    [{"site": "dc2"}, {"box": "Mini 1"}, {"box": "mini-1\n"}, {"box": ""}],
    ids=["site", "capitals", "newline", "empty"],
)
def test_a_report_for_another_site_or_of_no_box_is_refused(
    dc1: Box, run: TaskRun, wrong: dict[str, Any]
) -> None:
    with pytest.raises(ForeignSiteError):
        dc1.send(dc1.claimed(run), **wrong)
    assert status(run) == "READY"


def test_a_journal_of_another_site_is_refused(dc1: Box, dc2: Box, run: TaskRun) -> None:
    dc1.send(dc1.line(EntryKind.REFUSED))
    dc2.journal = dc1.journal
    with pytest.raises(ForeignSiteError, match="belongs to dc1"):
        dc2.send(dc2.claimed(run))
    assert status(run) == "READY"


def test_an_outcome_of_an_older_token_is_kept_as_stale(dc1: Box, run: TaskRun) -> None:
    old = [dc1.claimed(run), dc1.finished(run, "too late")]
    dc1.send(old[0])
    LedgerStore().lose(run.token, "silent", NOW)
    first = attempt_of(run)
    publish(run)
    dc1.send(old[1])
    assert status(run) == "READY"
    assert run.return_value is None
    first.refresh_from_db()
    assert (first.status, first.stale) == ("LOST", True)
    assert first.outcome is not None
    assert first.outcome["return_value"] == "too late"
    assert not attempt_of(run).stale


@pytest.mark.parametrize("what", ["finished", "failed", "lost"])
def test_an_older_attempt_says_nothing_about_the_one_that_runs(
    dc1: Box, dc2: Box, run: TaskRun, what: str
) -> None:
    old = {
        "finished": dc2.finished(run, "too late"),
        "failed": dc1.failed(run, transient=False),
        "lost": dc1.lost(run),
    }
    first = Box(dc1.site)
    first.send(first.claimed(run))
    LedgerStore().lose(run.token, "silent", NOW)
    publish(run)
    second = Box(dc1.site)
    second.send(second.claimed(run))
    late = Box(dc1.site)
    late.send(old[what].model_copy(update={"seq": 1}))
    assert status(run) == "RUNNING"
    assert attempt_of(run).status == AttemptStatus.RUNNING


def test_a_line_about_another_home_does_not_touch_the_control_planes_attempt(
    dc1: Box, run: TaskRun
) -> None:
    dc1.send(dc1.finished(run, home="dc2"), dc1.finished(run, home="dc1"))
    assert (attempt_of(run).outcome, attempt_of(run).stale) == (None, False)


def test_a_cancelled_run_keeps_its_status_when_its_worker_ends(dc1: Box, run: TaskRun) -> None:
    dc1.send(dc1.claimed(run))
    operate.cancel(run.pk, who="ada")
    dc1.send(dc1.finished(run))
    assert status(run) == "CANCELLED"
    assert (attempt_of(run).status, attempt_of(run).stale) == ("VOID", True)


@pytest.mark.parametrize("what", ["claimed", "finished", "failed", "lost"])
def test_a_finished_run_never_changes_by_a_report(dc1: Box, run: TaskRun, what: str) -> None:
    dc1.send(dc1.claimed(run), dc1.finished(run, "first"))
    again: dict[str, Callable[[], Entry]] = {
        "claimed": lambda: dc1.claimed(run),
        "finished": lambda: dc1.finished(run, "second"),
        "failed": lambda: dc1.failed(run, transient=True),
        "lost": lambda: dc1.lost(run),
    }
    dc1.send(again[what]())
    assert status(run) == "SUCCESSFUL"
    assert run.return_value == "first"
    assert not attempt_of(run).stale
    assert run.events.count() == 3


def test_two_sites_with_the_same_token_commit_once(dc1: Box, dc2: Box, run: TaskRun) -> None:
    dc1.send(dc1.claimed(run))
    dc2.send(dc2.claimed(run), dc2.finished(run, "from dc2"))
    dc1.send(dc1.finished(run, "from dc1"))
    assert status(run) == "SUCCESSFUL"
    assert run.return_value == "from dc2"
    assert run.events.count() == 3


def test_a_late_claim_of_an_attempt_that_has_ended_does_not_revive_it(
    dc1: Box, dc2: Box, run: TaskRun
) -> None:
    dc1.send(dc1.claimed(run), dc1.failed(run, transient=True))
    assert status(run) == "READY"
    dc2.send(dc2.claimed(run))
    assert status(run) == "READY"
    assert attempt_of(run).status == AttemptStatus.FAILED


def test_a_transient_failure_is_followed_by_another_attempt_later(dc1: Box, run: TaskRun) -> None:
    dc1.send(dc1.claimed(run), dc1.failed(run, transient=True))
    assert status(run) == "READY"
    assert run.run_after is not None
    assert 0.5 <= (run.run_after - NOW).total_seconds() <= 1.0
    assert "NetworkError: no answer" in run.reason
    assert attempt_of(run).status == AttemptStatus.FAILED
    assert publish(run, now=later(2)).attempt == 2


def test_the_delay_that_a_task_asked_for_is_kept(dc1: Box, run: TaskRun) -> None:
    dc1.send(dc1.claimed(run), dc1.failed(run, transient=True, asked_delay_s=120.0))
    assert status(run) == "READY"
    assert run.run_after == later(120)


def test_a_permanent_failure_ends_the_run(dc1: Box, run: TaskRun) -> None:
    dc1.send(dc1.claimed(run), dc1.failed(run, transient=False))
    assert status(run) == "FAILED"
    assert run.error is not None
    assert run.error["message"] == "no answer"


def test_the_last_allowed_attempt_ends_the_run(dc1: Box, run: TaskRun) -> None:
    TaskRun.objects.update(max_attempts=1)
    dc1.send(dc1.claimed(run), dc1.failed(run, transient=True))
    assert status(run) == "FAILED"


@pytest.mark.parametrize(("task", "after"), [("canary.echo", "READY"), ("canary.effect_d", "DEAD")])
def test_a_lost_worker_is_followed_by_effect_class(dc1: Box, task: str, after: str) -> None:
    run = enqueue(task)
    publish(run, queue="dev.dc1")
    dc1.send(dc1.claimed(run), dc1.lost(run))
    assert status(run) == after
    assert attempt_of(run).status == AttemptStatus.LOST
    assert "process 7 ended" in run.reason


def test_a_site_cannot_report_an_attempt_that_was_sent_elsewhere(dc1: Box, dc2: Box) -> None:
    run = enqueue("canary.effect_d")
    publish(run, queue="dev.dc1")
    dc2.send(dc2.claimed(run), dc2.finished(run))
    assert status(run) == "READY"
    assert attempt_of(run).outcome is None
    assert set(SecurityEvent.objects.values_list("kind", "site")) == {("foreign report", "dc2")}
