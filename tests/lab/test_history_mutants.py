"""A build that has lost one of its guards writes a history that the checker finds red.

Each guard is first shown at work: the same course of events with it is green.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import Reject

from deploy.lab.brokers import Brokers, running_brokers
from deploy.lab.history.check import check_folder
from deploy.lab.history.violations import Rule
from deploy.lab.scenario.witness import Witness
from deploy.lab.scenario.writer_probe import WriterProbe, probe_client
from deploy.lab.waiting import wait_until
from deploy.render import acl, redis
from fleet.policy.envelope import header
from tasks import canary
from tasks.box import Box
from tasks.devwork.effects import EffectSink
from tasks.execute import TaskFailedError
from tasks.journal import ClaimResult, Claims, ClaimVerdict
from tasks.settings import FleetSettings, load_settings
from tasks.signing import sign
from tests.lab.history_lines import accepted, effect, start, write
from tests.tasks.envelopes import RUN
from tests.tasks.paper_worker import KEY, PUBLIC, fresh

TASKS = {
    "A": canary.effect_a,
    "B": canary.effect_b,
    "C": canary.effect_c,
    "D": canary.effect_d,
}


def settings_in(folder: Path, **more: Any) -> FleetSettings:
    homes = {"control": {"public_key": PUBLIC, "number": 0}}
    usual = {"site": "dc1", "box": "mini-1", "state_dir": folder, "homes": homes}
    return load_settings(**(usual | more))


@dataclass
class Site:
    """A worker's box with its journal; all boxes write their effects to the first one's sink."""

    box: Box
    monkeypatch: pytest.MonkeyPatch

    def deliver(self, kind: str, token: int = 256) -> None:
        """Deliver a message of the canary of this class, whatever becomes of it."""
        task, name = TASKS[kind], f"canary.effect_{kind.lower()}"
        queue = "dev.dc1" if kind == "D" else "dev"
        sent = fresh(task=name, args=["k", 0], token=token, queue=queue)
        self.monkeypatch.setattr("tasks.execute.own_box", lambda: self.box)
        task.push_request(
            id=sent.id,
            hostname="worker",
            called_directly=False,
            delivery_info={"routing_key": queue},
            turtle=header(sent, sign(KEY, sent)),
        )
        try:
            with suppress(Reject, TaskFailedError):
                task(*sent.args)
        finally:
            task.pop_request()


@contextmanager
def sites(monkeypatch: pytest.MonkeyPatch, *settings: FleetSettings) -> Iterator[list[Site]]:
    for module in ("tasks.canary", "tasks.devwork.effects"):
        monkeypatch.setattr(f"{module}.settings", lambda: settings[0])
    with ExitStack() as stack:
        found = [Site(Box(one), monkeypatch) for one in settings]
        for site in found:
            stack.callback(site.box.database.close)
        yield found


def broken(folder: Path, kind: str) -> set[Rule]:
    write(folder, accepted=[accepted("k", kind, id=RUN)])
    return {one.rule for one in check_folder(folder, standby="dc3").violations}


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize(("kind", "rule"), [("A", Rule.TOKEN_ORDER), ("D", Rule.STARTED_TWICE)])
def test_without_the_journals_claim_a_message_that_comes_twice_runs_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, rule: Rule, guarded: bool
) -> None:
    if not guarded:
        granted = ClaimResult(ClaimVerdict.CLAIMED)
        monkeypatch.setattr(Claims, "claim", lambda *_: granted)
    with sites(monkeypatch, settings_in(tmp_path)) as (site,):
        site.deliver(kind)
        site.deliver(kind)
    assert (rule in broken(tmp_path, kind)) is not guarded
    assert not guarded or broken(tmp_path, kind) == set()


@pytest.mark.parametrize("guarded", [True, False])
def test_without_the_fencing_token_a_paused_worker_overwrites_a_newer_effect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """Two sites' journals, one sink: the first worker pauses between its start and its effect."""
    if not guarded:
        monkeypatch.setattr(EffectSink, "_refuse_stale", lambda *_: None)
    other = settings_in(tmp_path / "other", site="dc2", box="mini-2")
    (tmp_path / "other").mkdir()
    with sites(monkeypatch, settings_in(tmp_path), other) as (paused, quick):
        pauses = iter([lambda: quick.deliver("C", token=512)])
        monkeypatch.setattr("tasks.canary._wait", lambda *_: next(pauses, lambda: None)())
        paused.deliver("C", token=256)
    # The worker that started first wrote the older token's start first: that is in order.
    assert broken(tmp_path, "C") == (set() if guarded else {Rule.TOKEN_ORDER})


@pytest.mark.parametrize("guarded", [True, False])
def test_a_standby_that_ignores_its_lease_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    if not guarded:
        monkeypatch.setattr("tasks.execute._respect_intake", lambda *_: None)
    standby = settings_in(tmp_path, site="dc3", box="standby-1", standby=True)
    with sites(monkeypatch, standby) as (site,):
        site.deliver("A")
    assert broken(tmp_path, "A") == ({Rule.LOST} if guarded else {Rule.NO_LEASE})


# Brokers


def knock_at(brokers: Brokers, site: str, folder: Path, ended: threading.Event) -> None:
    address = str(brokers.redis_address(site))
    client = probe_client(address, acl.CONTROL, brokers.password_file(acl.CONTROL))
    try:
        witness = Witness(folder / site / "acks.jsonl")
        WriterProbe(site=site, client=client, witness=witness).run(0.02, ended)
    finally:
        client.close()


@contextmanager
def knocking(brokers: Brokers, folder: Path) -> Iterator[None]:
    """A writer at each Redis, as long as the block lasts."""
    ended = threading.Event()
    writers = [
        threading.Thread(target=knock_at, args=(brokers, site, folder, ended))
        for site in brokers.topology.names
    ]
    for writer in writers:
        writer.start()
    try:
        yield
    finally:
        ended.set()
        for writer in writers:
            writer.join()


def without_min_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    real = redis.redis_conf

    def mutant(*args: Any, **more: Any) -> str:
        text = real(*args, **more)
        assert "min-replicas-to-write 1" in text
        return text.replace("min-replicas-to-write 1", "min-replicas-to-write 0")

    monkeypatch.setattr(redis, "redis_conf", mutant)


def role(brokers: Brokers, site: str) -> object:
    return (brokers.info(site, "replication") or {}).get("role")


@pytest.mark.integration
@pytest.mark.timeout(120)
@pytest.mark.parametrize("guarded", [True, False])
def test_without_min_replicas_a_thawed_master_takes_writes_beside_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """Sentinel makes the old master a replica only seconds after it has come back."""
    if not guarded:
        without_min_replicas(monkeypatch)
    seen = write(tmp_path / "seen", accepted=[accepted("k")], effects=[start("k"), effect("k")])
    with running_brokers(tmp_path / "lab") as brokers, knocking(brokers, seen):
        brokers.pause("dc1")
        wait_until(lambda: role(brokers, "dc2") == "master", deadline_s=40.0, what="promotion")
        told = seen / "dc2" / "acks.jsonl"
        wait_until(lambda: told.stat().st_size, deadline_s=10.0, what="writes at dc2")
        brokers.resume("dc1")
        wait_until(lambda: role(brokers, "dc1") == "slave", deadline_s=40.0, what="demotion")
    found = check_folder(seen, standby="dc3")
    assert {one.rule for one in found.violations} == (set() if guarded else {Rule.TWO_MASTERS})
    assert (found.figures["two_masters_plain_s"] > 0.2) is not guarded
