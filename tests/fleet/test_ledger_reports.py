"""Reports beside outcomes: refusals, nonsense, heartbeats, and mail for other homes."""

import uuid
from typing import Any

import pytest

from fleet.ledger.ingest import ClockError, ingest
from fleet.models import Attempt, HomeMail, SecurityEvent, Site, TaskRun, Worker
from tasks.wire import EntryKind, WorkerState
from tests.fleet.api_calls import make_site
from tests.fleet.ledger_rows import (
    NOW,
    WORKER,
    Box,
    attempt_of,
    enqueue,
    heartbeat,
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


def test_a_refused_message_is_a_security_event(dc1: Box) -> None:
    payload = {"refusal": "altered or forged", "detail": "d" * 500}
    dc1.send(dc1.line(EntryKind.REFUSED, run_id="x" * 100, task="canary.echo", payload=payload))
    event = SecurityEvent.objects.get()
    assert (event.kind, event.site, event.task) == ("altered or forged", "dc1", "canary.echo")
    assert (len(event.run_id), len(event.detail)) == (64, 300)


NONSENSE: dict[str, dict[str, Any]] = {
    "no run id": {"kind": EntryKind.CLAIMED, "home": "control", "run_id": "nonsense"},
    "an empty run id": {"kind": EntryKind.LOST, "home": "control"},
    "no outcome": {"kind": EntryKind.FINISHED, "payload": {"status": "GREAT"}},
    "more than an outcome": {
        "kind": EntryKind.FINISHED,
        "payload": {"status": "FAILED", "extra": 1},
    },
    "an empty mirror": {"kind": EntryKind.MIRROR, "run_id": str(uuid.uuid4())},
    "a mirror that is none": {
        "kind": EntryKind.MIRROR,
        "run_id": str(uuid.uuid4()),
        "payload": {"run": 5, "event": {}},
    },
    "a mirror of another status": {
        "kind": EntryKind.MIRROR,
        "run_id": str(uuid.uuid4()),
        "payload": {"run": {"status": "GREAT", "task": "x"}, "event": {}},
    },
    "a mirror without times": {
        "kind": EntryKind.MIRROR,
        "run_id": str(uuid.uuid4()),
        "payload": {"run": {"status": "READY", "enqueued_at": "soon"}, "event": {}},
    },
    "a huge token": {
        "kind": EntryKind.FINISHED,
        "home": "control",
        "run_id": str(uuid.uuid4()),
        "token": 1 << 61,
        "payload": {"status": "FAILED"},
    },
    "a NUL": {"kind": EntryKind.REFUSED, "run_id": "a\0b", "payload": {"refusal": "x\0y"}},
}


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_a_line_that_makes_no_sense_does_not_hold_up_the_next(
    dc1: Box, run: TaskRun, nonsense: str
) -> None:
    fields = dict(NONSENSE[nonsense])
    bad = dc1.line(fields.pop("kind"), **fields)
    assert dc1.send(bad, dc1.claimed(run)).ack == 2
    assert status(run) == "RUNNING"
    assert TaskRun.objects.count() == 1


def test_a_line_of_a_run_that_never_had_an_attempt_is_passed(dc1: Box) -> None:
    run = enqueue()
    assert dc1.send(dc1.claimed(run), dc1.finished(run)).ack == 2
    assert status(run) == "READY"


def test_a_malformed_line_is_told(dc1: Box) -> None:
    dc1.send(dc1.line(EntryKind.FINISHED, run_id="r", payload={"status": "GREAT"}))
    event = SecurityEvent.objects.get()
    assert (event.kind, event.site, event.run_id) == ("malformed line", "dc1", "r")
    assert "line 1, finished" in event.detail


def test_a_claim_that_is_reported_late_has_its_lease_from_now(dc1: Box, run: TaskRun) -> None:
    dc1.send(dc1.claimed(run), now=later(600))
    assert attempt_of(run).seen_at == later(600)
    assert attempt_of(run).started_at == NOW


def test_a_heartbeat_renews_the_leases_that_it_names(dc1: Box, run: TaskRun) -> None:
    dc1.send(dc1.claimed(run))
    beat = heartbeat(running=[(str(run.pk), run.token)])
    dc1.send(heartbeat=beat, now=later(40))
    assert attempt_of(run).seen_at == later(40)
    dc1.send(heartbeat=heartbeat(), now=later(80))
    assert attempt_of(run).seen_at == later(40)


@pytest.mark.parametrize(("ahead_s", "words"), [(75, "75 s ahead of"), (-200, "200 s behind")])
def test_a_box_whose_clock_is_far_off_is_refused_and_told_what_to_do(
    dc1: Box, run: TaskRun, ahead_s: int, words: str
) -> None:
    report = dc1.report(dc1.claimed(run), heartbeat=heartbeat(at=later(ahead_s)))
    with pytest.raises(ClockError, match=f"{words} the control plane's.*Set it"):
        ingest(dc1.site, report, NOW)
    assert attempt_of(run).status != "RUNNING"


def worker_state(**fields: Any) -> WorkerState:
    usual: dict[str, Any] = {
        "id": WORKER,
        "pid": 7,
        "capabilities": ["dev"],
        "queues": ["dev"],
        "slots": 2,
        "busy": 1,
        "version": "1",
        "started_at": NOW,
        "alive": True,
    }
    return WorkerState(**(usual | fields))


def test_a_heartbeat_tells_of_workers_under_the_control_planes_own_clock(dc1: Box) -> None:
    dc1.send(heartbeat=heartbeat(workers=[worker_state()]), now=later(3600))
    worker = Worker.objects.get()
    assert (worker.last_seen_at, worker.busy, worker.stopped_at) == (later(3600), 1, None)
    dc1.send(heartbeat=heartbeat(workers=[worker_state(alive=False)]), now=later(3601))
    worker.refresh_from_db()
    assert (worker.stopped_at, worker.last_seen_at) == (later(3601), later(3600))
    dc1.send(heartbeat=heartbeat(workers=[worker_state(alive=False)]), now=later(3700))
    worker.refresh_from_db()
    assert (worker.stopped_at, worker.busy) == (later(3601), 0)
    assert Site.objects.get().last_seen_at == later(3700)


def test_what_a_site_did_with_another_sites_run_goes_to_its_home(dc1: Box, dc2: Box) -> None:
    run_id = str(uuid.uuid4())
    line = dc1.line(EntryKind.CLAIMED, home="dc2", run_id=run_id, token=258)
    dc1.send(line, dc1.line(EntryKind.CLAIMED, home="dc1", run_id=run_id, token=257))
    answer = dc2.send()
    (mail,) = answer.mail
    assert (mail.kind, mail.payload["run_id"], mail.payload["site"]) == ("claimed", run_id, "dc1")
    assert dc2.send().mail == [mail]
    assert dc2.send(mail_ack=mail.id).mail == []
    assert not HomeMail.objects.exists()
    assert Attempt.objects.count() == 0
