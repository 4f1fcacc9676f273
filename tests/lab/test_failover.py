"""The whole fleet loses its broker's master, three ways, and goes on; generous limits.

The figures come from `make failover`. What each part of the transport is for is shown in
test_transport.py.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.lab import processes
from deploy.lab.processes import ProcessRecord
from deploy.lab.waiting import wait_until
from deploy.render import acl
from tests.benchmarks.failover.ground import KINDS, Ground, ground
from tests.benchmarks.failover.rounds import Play
from tests.benchmarks.failover.switches import Switches
from tests.lab.namespaced import needs_namespaces

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(420)]
RATE_PER_S = 10.0
#: Without the transport's own parts it took 6 to 22 s after a freeze or a kill.
TASK_AFTER_SWITCH_S = 5.0
SWITCH_AFTER_FAULT_S = 15.0
BOTH = {"dc1", "dc2"}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    needs_namespaces()
    with ground(tmp_path_factory.mktemp("failover")) as running:
        yield running


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost_and_nobody_is_replaced_when_the_master_goes(
    fleet: Ground, kind: str
) -> None:
    with Switches(fleet.stage.brokers) as switches:
        found = Play(fleet, switches, kind, RATE_PER_S, KINDS.index(kind)).run()
    assert found.switch_after_fault_s is not None, found
    assert found.switch_after_fault_s < SWITCH_AFTER_FAULT_S, found
    assert found.task_after_switch_s is not None, found
    assert found.task_after_switch_s < TASK_AFTER_SWITCH_S, found
    assert (found.lost, found.effects_too_many) == (0, 0), found
    assert found.processes_replaced == [], found
    assert set(found.answered_ping_after) == BOTH, found
    assert found.accepted > 100, found


def test_a_worker_that_is_started_while_the_broker_is_away_waits_and_comes_up(
    fleet: Ground,
) -> None:
    fleet.calm()
    for site in fleet.stage.topology.names:
        fleet.stage.faults.kill(site, "redis")
    try:
        began = fleet.stage.paths.log("dc2", "worker").stat().st_size
        worker = fleet.restart_worker("dc2")
        wait_until(
            lambda: b"Cannot connect" in said(worker, began),
            deadline_s=40.0,
            what="a worker that finds no broker",
        )
        assert processes.is_alive(worker)
    finally:
        fleet.stage.mend_all()
    fleet.calm()
    assert b" ready." in said(worker, began)
    assert fleet.pids()["dc2/worker"] == worker.pid


def test_a_demoted_master_neither_ends_nor_hangs_a_worker(fleet: Ground) -> None:
    """A switch without a fault: the old master lives, and becomes a replica under its clients."""
    fleet.calm()
    brokers, before = fleet.stage.brokers, fleet.pids()
    old = brokers.master()
    with brokers.sentinel_client("dc3", acl.SENTINEL_MOVER) as sentinel:
        sentinel.sentinel_failover(brokers.master_name)
    (new,) = BOTH - {old}
    assert brokers.wait_for_master(new, deadline_s=60.0) == new
    wait_until(
        lambda: (brokers.info(old, "replication") or {}).get("role") == "slave",
        deadline_s=60.0,
        what="the demotion",
    )
    fleet.calm()
    assert fleet.pids() == before


def said(record: ProcessRecord, since: int) -> bytes:
    """What a process has written to its log since then."""
    return Path(record.log).read_bytes()[since:]
