"""GET /workers, /sites, /queues: what was reported, and how long ago."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from fleet.models import BrokerView, Journal, Scope, Worker
from fleet.policy.states import RunStatus
from tests.fleet.api_calls import Api, make_run, make_site, make_token, ok

pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> Api:
    return Api(make_token("reader", Scope.READ))


def make_worker(name: str, site_name: str, seconds_ago: float, **fields: object) -> Worker:
    seen = timezone.now() - timedelta(seconds=seconds_ago)
    values = {"box": "mini-1", "queues": [f"dev.{site_name}", "dev"], "capabilities": ["dev"]}
    return Worker.objects.create(
        id=name, site_id=site_name, last_seen_at=seen, slots=2, **{**values, **fields}
    )


def test_workers_carry_their_verdict_and_age(api: Api) -> None:
    make_site("dc1", 1)
    make_worker("a@dc1", "dc1", 1)
    make_worker("b@dc1", "dc1", 20)
    make_worker("c@dc1", "dc1", 100)
    make_worker("d@dc1", "dc1", 1, stopped_at=timezone.now())
    found = {worker["id"]: worker for worker in ok(api.get("/workers"))["items"]}

    assert [found[f"{n}@dc1"]["liveness"] for n in "abcd"] == ["alive", "suspect", "dead", "dead"]
    assert 20 <= found["b@dc1"]["age_s"] < 30
    assert found["d@dc1"]["reason"] == "its process has ended"
    assert found["a@dc1"]["site"] == "dc1"


def test_a_site_that_never_reported_is_unknown_and_has_no_age(api: Api) -> None:
    make_site("dc2", 2)
    (site,) = ok(api.get("/sites"))["items"]

    assert (site["liveness"], site["age_s"], site["workers"]) == ("unknown", None, 0)


def test_a_site_shows_its_journals_and_how_many_workers_are_alive(api: Api) -> None:
    site = make_site("dc1", 1)
    make_worker("a@dc1", "dc1", 1)
    make_worker("b@dc1", "dc1", 100)
    now = timezone.now()
    Journal.objects.create(
        id=uuid.uuid4(),
        site=site,
        box="mini-1",
        pending=3,
        last_report_at=now - timedelta(seconds=5),
        metrics={"cpu_percent": 3},
        metrics_at=now - timedelta(seconds=7),
        trouble="disk full",
    )
    (shown,) = ok(api.get("/sites"))["items"]

    assert (shown["workers"], shown["workers_alive"]) == (2, 1)
    (journal,) = shown["journals"]
    assert (journal["pending"], journal["trouble"]) == (3, "disk full")
    assert 5 <= journal["age_s"] < 15
    assert 7 <= journal["metrics_age_s"] < 17


def test_queues_tell_broker_ledger_and_servers_apart(api: Api) -> None:
    make_site("dc1", 1)
    make_worker("a@dc1", "dc1", 1)
    now = timezone.now()
    BrokerView.objects.create(
        seen_at=now - timedelta(seconds=4), master="dc1", queues={"dev": {"depth": 9}}
    )
    make_run(enqueued_at=now - timedelta(seconds=60))
    make_run(enqueued_at=now - timedelta(seconds=90), open_attempt=True)
    make_run(enqueued_at=now - timedelta(seconds=900), status=RunStatus.RUNNING)
    make_run(enqueued_at=now - timedelta(seconds=999), status=RunStatus.FAILED)
    make_run(task="udm.health", enqueued_at=now)
    found = ok(api.get("/queues"))
    queues = {queue["name"]: queue for queue in found["items"]}

    assert set(queues) == {"dev", "dev.dc1", "udm"}
    dev = queues["dev"]
    assert (dev["depth"], dev["waiting"], dev["published"], dev["running"]) == (9, 1, 1, 1)
    assert 90 <= dev["oldest_age_s"] < 100
    assert [server["id"] for server in dev["served_by"]] == ["a@dc1"]
    assert (queues["udm"]["served_by"], queues["udm"]["depth"]) == ([], 0)
    assert (queues["dev.dc1"]["site"], queues["dev.dc1"]["oldest_age_s"]) == ("dc1", None)
    assert 4 <= found["broker"]["age_s"] < 14


def test_depth_is_unknown_as_long_as_nobody_has_seen_the_broker(api: Api) -> None:
    make_run()
    found = ok(api.get("/queues"))

    assert found["items"][0]["depth"] is None
    assert found["broker"]["age_s"] is None
