"""Runs whose home is a site: the control plane keeps a copy, and nobody else's."""

import uuid
from typing import Any

import pytest

from fleet.models import Attempt, SecurityEvent, TaskRun
from tasks.wire import Entry, EntryKind
from tests.fleet.api_calls import make_site
from tests.fleet.ledger_rows import NOW, Box, attempt_of, enqueue, publish

pytestmark = pytest.mark.django_db
RUN = uuid.uuid4()


@pytest.fixture
def dc1(db: None) -> Box:
    return Box(make_site("dc1", 1))


@pytest.fixture
def dc2(db: None) -> Box:
    return Box(make_site("dc2", 2))


def mirrored(status: str = "RUNNING", **fields: Any) -> dict[str, Any]:
    """A run as a site's journal shows it, in its first attempt."""
    at = NOW.isoformat()
    usual = {
        "task": "canary.echo",
        "args": ["x"],
        "kwargs": {},
        "capability": "dev",
        "site": "",
        "queue_name": "dev",
        "priority": 0,
        "effect": "A",
        "max_attempts": 3,
        "status": status,
        "enqueued_at": at,
        "last_attempted_at": at,
        "started_at": at,
        "finished_at": None,
        "published_at": at,
        "times_published": 1,
        "seen_at": at,
        "attempts": 1,
        "token": 257,
        "open_attempt": True,
        "attempt_status": "RUNNING",
        "attempt_queue": "dev",
        "worker_id": "celery@mini-1",
        "worker_site": "dc1",
    }
    return usual | fields


def line(box: Box, run: dict[str, Any], run_id: uuid.UUID = RUN, to: str = "RUNNING") -> Entry:
    event = {
        "event": "claim",
        "from_status": "READY",
        "to_status": to,
        "why": "claimed",
        "who": "celery@mini-1",
        "at": NOW.isoformat(),
    }
    return box.line(EntryKind.MIRROR, run_id=str(run_id), payload={"run": run, "event": event})


def test_a_sites_own_run_is_shown_as_its_home_has_it(dc1: Box) -> None:
    dc1.send(line(dc1, mirrored()))
    run = TaskRun.objects.get()
    assert (run.pk, run.home, run.status, run.args) == (RUN, "dc1", "RUNNING", ["x"])
    assert (run.enqueued_at, run.token) == (NOW, 257)
    attempt = Attempt.objects.get()
    assert (attempt.token, attempt.status, attempt.site) == (257, "RUNNING", "dc1")
    assert [e.event for e in run.events.all()] == ["claim"]


def test_the_newest_copy_counts(dc1: Box) -> None:
    done = mirrored("SUCCESSFUL", return_value=5, attempt_status="SUCCESSFUL", open_attempt=False)
    dc1.send(line(dc1, mirrored()), line(dc1, done, to="SUCCESSFUL"))
    run = TaskRun.objects.get()
    assert (run.status, run.return_value) == ("SUCCESSFUL", 5)
    assert Attempt.objects.get().status == "SUCCESSFUL"
    assert run.events.count() == 2


def test_an_outcome_of_a_sites_own_run_is_not_stale(dc1: Box) -> None:
    dc1.send(line(dc1, mirrored()))
    outcome = {"status": "SUCCESSFUL", "return_value": 5}
    own: dict[str, Any] = {"run_id": str(RUN), "token": 257, "home": "dc1"}
    dc1.send(dc1.line(EntryKind.FINISHED, payload=outcome, **own))
    assert not Attempt.objects.get().stale


def test_a_copy_of_the_control_planes_own_run_is_refused(dc1: Box) -> None:
    run = enqueue()
    dc1.send(line(dc1, mirrored("SUCCESSFUL"), run.pk))
    run.refresh_from_db()
    assert (run.home, run.status) == ("control", "READY")
    assert SecurityEvent.objects.get().kind == "foreign mirror"


def test_a_copy_of_another_sites_run_is_refused(dc1: Box, dc2: Box) -> None:
    dc1.send(line(dc1, mirrored()))
    dc2.send(line(dc2, mirrored("SUCCESSFUL", token=258)))
    run = TaskRun.objects.get()
    assert (run.home, run.status) == ("dc1", "RUNNING")
    assert SecurityEvent.objects.get().site == "dc2"


def test_a_copy_that_names_somebody_elses_token_is_refused(dc1: Box) -> None:
    run = enqueue()
    publish(run)
    dc1.send(line(dc1, mirrored("SUCCESSFUL", token=run.token)))
    assert attempt_of(run).run == run
    assert TaskRun.objects.count() == 1
    assert SecurityEvent.objects.get().kind == "foreign mirror"


def test_a_repeated_copy_is_one_run(dc1: Box) -> None:
    first = line(dc1, mirrored())
    dc1.send(first)
    dc1.send(first)
    assert TaskRun.objects.get().events.count() == 1
