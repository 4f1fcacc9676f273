"""Messages that nobody signed, or that somebody changed, are never executed."""

import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
import redis

from deploy.lab.secret_files import SecretFiles
from fleet.policy.envelope import Envelope, header
from tasks.settings import read_secret
from tasks.signing import load_private_key, sign
from tests.lab.whole.stage import Fleet, eventually

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


def broker(fleet: Fleet) -> "redis.Redis":
    """A connection to the master as an attacker with the control plane's password has it."""
    address = fleet.django(
        "from fleet.models import BrokerView\n"
        "print(json.dumps(BrokerView.objects.get(pk=1).master))"
    )
    host, _, port = address.rpartition(":")
    password = read_secret(SecretFiles(fleet.lab.paths.secrets).redis_password("control"))
    return redis.Redis(
        host=host, port=int(port), username="control", password=password, decode_responses=True
    )


def envelope(**changes: Any) -> Envelope:
    now_ms = time.time_ns() // 1_000_000
    values: dict[str, Any] = {
        "task": "canary.effect_a",
        "id": str(uuid.uuid4()),
        "queue": "dev.dc1",
        "args": ["forged"],
        "kwargs": {},
        "home": "control",
        "token": 1 << 40,
        "attempt": 1,
        "key": "",
        "issued_at_ms": now_ms,
        "expires_at_ms": now_ms + 60_000,
    }
    return Envelope(**{**values, **changes})


def message(sealed: Envelope, turtle: dict[str, Any] | None) -> str:
    """The text that kombu would put into the queue."""
    import base64

    body = base64.b64encode(json.dumps([sealed.args, sealed.kwargs, {}]).encode()).decode()
    headers: dict[str, Any] = {
        "lang": "py",
        "task": sealed.task,
        "id": sealed.id,
        "root_id": sealed.id,
        "parent_id": None,
        "group": None,
        "retries": 0,
        "timelimit": [None, None],
        "argsrepr": "",
        "kwargsrepr": "",
        "origin": "attacker",
        "expires": None,
        "eta": None,
    }
    if turtle is not None:
        headers["turtle"] = turtle
    return json.dumps(
        {
            "body": body,
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": headers,
            "properties": {
                "correlation_id": sealed.id,
                "reply_to": "",
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": sealed.queue},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid.uuid4()),
            },
        }
    )


def signed(fleet: Fleet, home: str, sealed: Envelope) -> dict[str, Any]:
    key = load_private_key(SecretFiles(fleet.lab.paths.secrets).home_key(home))
    return header(sealed, sign(key, sealed))


def refused(fleet: Fleet, sealed: Envelope, kind: str) -> None:
    """The worker says so, and the effect is not there."""
    eventually(
        lambda: [
            e
            for e in fleet.security_events()
            if e["run_id"] == sealed.id and e["kind"] == kind and e["site"] == "dc1"
        ],
        f"a security event {kind!r}",
        every_s=0.5,
    )
    effects: list[Path] = list((fleet.folder / "dc1").rglob("effects.jsonl"))
    assert not any(sealed.id in path.read_text() for path in effects)


def test_an_unsigned_message_is_refused(fleet: Fleet) -> None:
    sealed = envelope()
    broker(fleet).lpush(sealed.queue, message(sealed, None))
    refused(fleet, sealed, "unsigned")


def test_a_message_signed_by_another_home_is_refused(fleet: Fleet) -> None:
    sealed = envelope()
    broker(fleet).lpush(sealed.queue, message(sealed, signed(fleet, "dc2", sealed)))
    refused(fleet, sealed, "altered or forged")


def test_altered_arguments_are_refused(fleet: Fleet) -> None:
    sealed = envelope()
    turtle = signed(fleet, "control", sealed)
    sealed.args[0] = "changed on the way"
    broker(fleet).lpush(sealed.queue, message(sealed, turtle))
    refused(fleet, sealed, "altered or forged")


def test_an_expired_envelope_is_refused(fleet: Fleet) -> None:
    past = time.time_ns() // 1_000_000 - 1000
    sealed = envelope(issued_at_ms=past - 1000, expires_at_ms=past)
    broker(fleet).lpush(sealed.queue, message(sealed, signed(fleet, "control", sealed)))
    refused(fleet, sealed, "expired")


def test_an_envelope_of_another_queue_is_refused(fleet: Fleet) -> None:
    sealed = envelope(queue="dev.dc2")
    text = message(sealed, signed(fleet, "control", sealed)).replace('"dev.dc2"}', '"dev.dc1"}')
    broker(fleet).lpush("dev.dc1", text)
    refused(fleet, sealed, "wrong queue")


def test_celerys_own_tasks_are_no_way_around(fleet: Fleet) -> None:
    """`celery.chain`, `celery.map` and the like would run tasks without an envelope."""
    sealed = envelope(task="celery.map", args=["canary.effect_a", [["forged"]]])
    broker(fleet).lpush(sealed.queue, message(sealed, None))
    refused(fleet, sealed, "unsigned")


def test_a_replayed_message_runs_nothing_again(fleet: Fleet) -> None:
    """A copy of a message that was executed: the effect stays one."""
    sealed = envelope(args=["replayed", 0], task="canary.effect_a")
    text = message(sealed, signed(fleet, "control", sealed))
    client = broker(fleet)

    def effects() -> int:
        files = (fleet.folder / "dc1").rglob("effects.jsonl")
        lines = [line for path in files for line in path.read_text().splitlines()]
        return sum(sealed.id in line and '"effect"' in line for line in lines)

    client.lpush(sealed.queue, text)
    eventually(lambda: effects() == 1, "the first execution")
    client.lpush(
        sealed.queue, text.replace(json.loads(text)["properties"]["delivery_tag"], "again")
    )
    marker = fleet.enqueue("canary.echo", "after the replay", site="dc1")
    fleet.finished(marker["id"])
    eventually(lambda: client.llen(sealed.queue) == 0, "an empty queue")
    assert effects() == 1


RUBBISH = ("garbage", "5", "{}", "[1]", '{"body": "x", "properties": {}}', '"x"', "\xff\x00")


def test_rubbish_in_a_queue_is_refused_and_the_worker_goes_on(fleet: Fleet) -> None:
    """Whoever has a site's password can write anything: no worker may end from it."""
    pid = fleet.state.sites["dc1"].processes["worker"].pid
    with broker(fleet) as client:
        for text in RUBBISH:
            client.lpush("dev.dc1", text)
    run = fleet.finished(fleet.enqueue("canary.echo", "still there", site="dc1")["id"])
    assert run["status"] == "SUCCESSFUL"
    assert fleet.state.sites["dc1"].processes["worker"].pid == pid
    count = (
        "from fleet.models import SecurityEvent\n"
        "print(json.dumps(SecurityEvent.objects.filter("
        "kind='malformed', site='dc1', detail__contains='dev.dc1').count()))"
    )
    eventually(lambda: fleet.django(count) >= len(RUBBISH) - 1, "the security events")


def test_a_worker_tells_its_statistics_without_any_password(fleet: Fleet) -> None:
    """`celery inspect stats` and Flower's page of a worker: an answer, and no secret in it."""
    told = fleet.inspect("stats")
    for site in ("dc1", "dc2"):
        assert f"@{site}" in told
    for path in (fleet.folder / "secrets" / "redis").iterdir():
        if path.is_file():
            assert read_secret(path) not in told, path.name
    run = fleet.finished(fleet.enqueue("canary.echo", 1, site="dc1")["id"], deadline_s=10)
    assert run["status"] == "SUCCESSFUL"
