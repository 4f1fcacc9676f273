"""POST /reports: in sequence, for the own site, any number of times."""

import uuid
from typing import Any

import pytest

from fleet.models import Journal, Scope, SecurityEvent, Site
from tests.fleet.api_calls import Api, make_site, make_token, ok, problem

pytestmark = pytest.mark.django_db
AT = "2026-03-01T12:00:00Z"


@pytest.fixture
def agent() -> Api:
    return Api(make_token("agent-dc1", Scope.AGENT, make_site("dc1", 1)))


def make_report(first: int, count: int, journal: uuid.UUID, **fields: Any) -> dict[str, Any]:
    entries = [
        {"seq": seq, "kind": "refused", "at": AT, "payload": {"why": "altered or forged"}}
        for seq in range(first, first + count)
    ]
    head = {"site": "dc1", "box": "mini-1", "journal": str(journal), "first_seq": first}
    return {**head, "entries": entries, **fields}


def test_a_report_is_acknowledged_and_a_repeated_one_in_the_same_way(agent: Api) -> None:
    journal = uuid.uuid4()
    for _ in range(2):
        assert ok(agent.post("/reports", make_report(1, 3, journal)))["ack"] == 3

    assert Journal.objects.get().acked_seq == 3
    assert SecurityEvent.objects.count() == 3


def test_a_gap_is_409_with_the_expected_number_and_nothing_is_taken(agent: Api) -> None:
    journal = uuid.uuid4()
    ok(agent.post("/reports", make_report(1, 2, journal)))
    found = problem(agent.post("/reports", make_report(5, 2, journal)), 409)

    assert found["expected"] == 3
    assert Journal.objects.get().acked_seq == 2


def test_a_report_for_another_site_is_403_and_seen_as_a_security_event(agent: Api) -> None:
    make_site("dc2", 2)
    problem(agent.post("/reports", make_report(1, 1, uuid.uuid4(), site="dc2")), 403)

    assert not Journal.objects.exists()
    event = SecurityEvent.objects.get()
    assert (event.site, event.kind) == ("dc2", "foreign report")
    assert "agent-dc1" in event.detail


def test_the_journal_of_another_site_is_403(agent: Api) -> None:
    journal = uuid.uuid4()
    other = make_site("dc2", 2)
    Journal.objects.create(id=journal, site=other, box="mini-1")

    problem(agent.post("/reports", make_report(1, 1, journal)), 403)


def test_an_agents_token_without_a_site_reports_for_nobody() -> None:
    site = make_site("dc1", 1)
    lost = Api(make_token("lost", Scope.AGENT))

    problem(lost.post("/reports", make_report(1, 1, uuid.uuid4())), 403)
    assert Site.objects.get() == site


@pytest.mark.parametrize("change", [{"first_seq": 0}, {"journal": "x"}, {"extra": 1}, {"box": 5}])
def test_a_report_of_the_wrong_shape_is_422(agent: Api, change: dict[str, Any]) -> None:
    body = {**make_report(1, 1, uuid.uuid4()), **change}
    found = problem(agent.post("/reports", body), 422)

    assert found["errors"][0]["pointer"] == f"#/{next(iter(change))}"


@pytest.mark.parametrize("version", [0, 2, 9])
def test_another_version_is_422_and_names_the_known_one(agent: Api, version: int) -> None:
    body = problem(agent.post("/reports", make_report(1, 1, uuid.uuid4(), v=version)), 422)

    assert body["errors"][0]["pointer"] == "#/v"
    assert f"version {version} of reports is not known here; send version 1" in body["detail"]
    assert not Journal.objects.exists()
