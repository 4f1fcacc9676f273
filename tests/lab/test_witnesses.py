"""The witnesses against real servers: a Redis that leads or not, an API that hesitates."""

import json
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.lab.brokers import Brokers
from deploy.lab.scenario.doors import Taken, Wanted
from deploy.lab.scenario.lease_probe import LeaseProbe
from deploy.lab.scenario.producer import Producer, calls
from deploy.lab.scenario.witness import Witness
from deploy.lab.scenario.writer_probe import WriterProbe, probe_client
from deploy.render import acl
from fleet.policy.effects import EffectClass
from fleet.policy.errors import NetworkError, TheirError


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class Hesitant:
    """A door that answers every second question only."""

    home = "control"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def accept(self, wanted: Wanted) -> Taken:
        self.asked.append(wanted.key)
        if len(self.asked) % 2:
            raise NetworkError("no answer")
        return Taken(f"run-{wanted.key}")


class Refusing:
    home = "control"

    def accept(self, wanted: Wanted) -> Taken:
        raise TheirError("no such task")


def test_a_producer_asks_again_with_the_same_key_until_it_is_answered(tmp_path: Path) -> None:
    door, out = Hesitant(), tmp_path / "accepted.jsonl"
    producer = Producer(door=door, witness=Witness(out), rate_per_s=1000.0)
    producer.run(islice(calls("p", "ABCD", 0.0, ()), 3), threading.Event())
    assert door.asked == [f"p-{n:06d}" for n in (0, 0, 1, 1, 2, 2)]
    assert [(one["id"], one["effect"]) for one in lines(out)] == [
        ("run-p-000000", "A"),
        ("run-p-000001", "B"),
        ("run-p-000002", "C"),
    ]
    assert all(one["sent_monotonic_s"] <= one["monotonic_s"] for one in lines(out))


def test_a_producer_writes_nothing_that_was_refused(tmp_path: Path) -> None:
    out = tmp_path / "accepted.jsonl"
    producer = Producer(door=Refusing(), witness=Witness(out), rate_per_s=1000.0)
    with pytest.raises(TheirError):
        producer.run(calls("p", "A", 0.0, ()), threading.Event())
    assert lines(out) == []


def test_a_producer_that_was_told_to_end_hands_in_nothing_more(tmp_path: Path) -> None:
    ended = threading.Event()
    ended.set()
    door = Hesitant()
    Producer(door=door, witness=Witness(tmp_path / "a"), rate_per_s=1.0).run(
        calls("p", "A", 0.0, ()), ended
    )
    assert door.asked == []


def test_calls_take_the_classes_in_turn_and_pin_a_quarter() -> None:
    found = list(islice(calls("p", "AD", 0.0, ("dc1", "dc2")), 16))
    assert [one.effect for one in found[:2]] == [EffectClass.A, EffectClass.D]
    assert [one.site for one in found if one.site] == ["dc1", "dc2", "dc1", "dc2"]
    assert len({one.key for one in found}) == 16


@pytest.mark.parametrize(
    ("status", "left_s", "answered", "written"),
    [(200, 29.5, True, 1), (200, 0, True, 0), (503, 0, False, 0)],
)
def test_the_lease_probe_writes_promises_and_nothing_else(
    tmp_path: Path, status: int, left_s: float, answered: bool, written: int
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/v1/standby/permit"
        return httpx.Response(status, json={"generation": 3, "left_s": left_s})

    out = tmp_path / "lease.jsonl"
    base = "http://control/api/v1/"
    with httpx.Client(base_url=base, transport=httpx.MockTransport(answer)) as client:
        asking = LeaseProbe(
            site="dc3", client=client, witness=Witness(out), ready=tmp_path / "ready"
        )
        assert asking.ask() is answered
    found = [(one["site"], one["generation"], one["ttl_s"]) for one in lines(out)]
    assert found == [("dc3", 3, 29.5)] * written


@pytest.fixture
def probe(brokers: Brokers, tmp_path: Path) -> Iterator[Any]:
    clients = []

    def make(site: str) -> WriterProbe:
        address = str(brokers.redis_address(site))
        client = probe_client(address, acl.CONTROL, brokers.password_file(acl.CONTROL))
        clients.append(client)
        out = Witness(tmp_path / f"{site}.jsonl")
        return WriterProbe(site=site, client=client, witness=out)

    yield make
    for client in clients:
        client.close()


@pytest.mark.integration
def test_a_master_acknowledges_and_names_its_reign(
    brokers: Brokers, probe: Any, tmp_path: Path
) -> None:
    probe("dc1").knock(1)
    (line,) = lines(tmp_path / "dc1.jsonl")
    assert line["replicas"] >= 1
    assert line["replication_id"] == (brokers.info("dc1", "replication") or {})["master_replid"]
    assert line["sent_s"] <= line["monotonic_s"] <= line["waited_s"]


@pytest.mark.integration
def test_a_replica_acknowledges_nothing(probe: Any, tmp_path: Path) -> None:
    probe("dc2").knock(1)
    assert lines(tmp_path / "dc2.jsonl") == []
