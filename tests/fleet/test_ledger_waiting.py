"""Why a run that is READY does not run."""

import pytest

from fleet.ledger.waiting import waiting_reason
from fleet.models import BrokerView, TaskRun, Worker
from tests.fleet.api_calls import make_run, make_site
from tests.fleet.ledger_rows import NOW, enqueue, later, publish

pytestmark = pytest.mark.django_db


@pytest.fixture
def worker() -> Worker:
    return Worker.objects.create(
        id="celery@mini-1",
        site=make_site("dc1", 1),
        box="mini-1",
        capabilities=["dev"],
        slots=2,
        last_seen_at=NOW,
    )


def test_without_a_worker_the_missing_capability_is_named() -> None:
    assert waiting_reason(enqueue(), NOW) == "no live worker has the capability dev"
    assert "at dc2" in waiting_reason(enqueue(site="dc2"), NOW)


@pytest.mark.usefixtures("worker")
def test_a_run_that_can_go_is_about_to_be_published() -> None:
    assert waiting_reason(enqueue(), NOW) == "in the ledger, about to be published"


@pytest.mark.usefixtures("worker")
def test_a_broker_that_is_away_is_told_with_its_reason_until_it_is_back() -> None:
    BrokerView.objects.create(pk=1, away_since=NOW, away_reason="broker: no master")
    assert waiting_reason(enqueue(), NOW) == "waits for the broker: broker: no master"
    BrokerView.objects.update(away_since=None)
    assert "about to be published" in waiting_reason(enqueue(), NOW)


@pytest.mark.usefixtures("worker")
def test_a_published_run_waits_in_the_broker() -> None:
    run = enqueue()
    publish(run)
    assert waiting_reason(run, NOW).startswith("in the broker")


@pytest.mark.usefixtures("worker")
def test_a_delayed_run_says_until_when() -> None:
    run = enqueue(run_after=later(5))
    assert waiting_reason(run, NOW) == "not before 2030-01-01 12:00:05 UTC, in 5 s"
    assert "about to be published" in waiting_reason(run, later(5))


def test_a_worker_that_has_fallen_silent_does_not_count(worker: Worker) -> None:
    run = enqueue()
    assert waiting_reason(run, later(14)) == "in the ledger, about to be published"
    assert waiting_reason(run, later(16)) == "no live worker has the capability dev"
    assert worker.verdict(later(16)).reason == "silent for 16 s"


@pytest.mark.usefixtures("worker")
def test_a_sites_own_run_waits_for_its_home() -> None:
    assert waiting_reason(make_run(home="dc2"), NOW) == "its home dc2 has not published it yet"


@pytest.mark.parametrize("status", ["RUNNING", "SUCCESSFUL", "FAILED", "CANCELLED", "DEAD"])
def test_a_run_that_does_not_wait_has_no_reason(status: str) -> None:
    run: TaskRun = make_run(status=status)
    assert waiting_reason(run, NOW) == ""
