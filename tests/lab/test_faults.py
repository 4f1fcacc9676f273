"""Faults do to a running lab what their names say, and `heal` undoes them."""

from collections.abc import Callable

import psutil
import pytest

from deploy.lab import processes
from deploy.lab.errors import LabError
from deploy.lab.faults import Faults
from deploy.lab.state import read_state, write_state
from deploy.lab.waiting import wait_until
from tests.lab.namespaced import SITES, SmallLab

pytestmark = pytest.mark.integration

EVERY_LINK = {(a, b) for a in SITES for b in SITES if a != b}


def both_ways(*links: tuple[str, str]) -> set[tuple[str, str]]:
    return {pair for a, b in links for pair in ((a, b), (b, a))}


# Links


@pytest.mark.parametrize(
    ("cut", "lost"),
    [
        (lambda f: f.cut_site("dc1"), both_ways(("dc1", "dc2"), ("dc1", "dc3"))),
        (lambda f: f.cut_link("dc3", "dc2"), both_ways(("dc2", "dc3"))),
        (lambda f: f.cut_oneway("dc1", "dc3"), both_ways(("dc1", "dc3"))),
        (lambda f: f.cut_overlay("dc1", "dc2"), both_ways(("dc1", "dc2"))),
        (lambda f: f.block_port("dc2", 6379), {("dc1", "dc2"), ("dc3", "dc2")}),
    ],
    ids=["cut-site", "cut-link", "cut-oneway", "cut-overlay", "block-port"],
)
def test_connections_fail_where_they_should_and_nowhere_else(
    lab: SmallLab, cut: Callable[[Faults], object], lost: set[tuple[str, str]]
) -> None:
    cut(lab.faults)
    assert lab.links() == EVERY_LINK - lost
    assert lab.brokers.info("dc1", "server"), "the operator's way was cut, too"
    lab.faults.heal()
    assert lab.links() == EVERY_LINK


def test_a_one_way_cut_lets_the_other_way_pass(lab: SmallLab) -> None:
    lab.faults.cut_oneway("dc1", "dc3")
    assert not lab.hears("dc3", "dc1")
    assert lab.hears("dc1", "dc3")


def test_the_public_way_survives_a_cut_of_the_overlay_only(lab: SmallLab) -> None:
    lab.faults.cut_overlay("dc1", "dc3")
    assert not lab.hears("dc3", "dc1")
    assert lab.hears("dc3", "dc1", host=lab.public("dc3"))


def test_healing_one_cut_leaves_the_other(lab: SmallLab) -> None:
    first = lab.faults.cut_link("dc1", "dc2")
    lab.faults.cut_link("dc2", "dc3")
    assert lab.faults.heal(first.id) == ("cut-link dc1 dc2",)
    assert lab.links() == EVERY_LINK - both_ways(("dc2", "dc3"))
    assert [fault.id for fault in lab.faults.active()] == ["cut-link dc2 dc3"]


def test_the_same_cut_twice_is_one_cut(lab: SmallLab) -> None:
    lab.faults.cut_link("dc1", "dc2")
    lab.faults.cut_link("dc2", "dc1")
    assert len(lab.faults.active()) == 1


def seconds_to_connect(lab: SmallLab, site: str, other: str) -> float:
    code = (
        "import socket, sys, time; started = time.monotonic()\n"
        "socket.create_connection((sys.argv[1], 6379), timeout=5)\n"
        "print(time.monotonic() - started)"
    )
    return float(lab.python(site, code, lab.overlay(other)).communicate()[0])


def test_a_slow_link_is_slow_and_the_others_are_not(lab: SmallLab) -> None:
    lab.faults.slow_link("dc3", "dc1", delay_ms=150)
    assert 0.3 <= seconds_to_connect(lab, "dc1", "dc3") < 1.5
    assert seconds_to_connect(lab, "dc2", "dc3") < 0.15
    lab.faults.slow_link("dc1", "dc3", delay_ms=0)
    assert seconds_to_connect(lab, "dc1", "dc3") < 0.15, "the new delay replaces the old one"
    lab.faults.heal()
    assert lab.links() == EVERY_LINK


def test_all_links_can_be_slow_at_once(lab: SmallLab) -> None:
    for a, b in (("dc1", "dc2"), ("dc2", "dc3"), ("dc1", "dc3")):
        lab.faults.slow_link(a, b, delay_ms=100)
    for a, b in (("dc1", "dc2"), ("dc3", "dc2"), ("dc1", "dc3")):
        assert 0.2 <= seconds_to_connect(lab, a, b) < 1.0


def test_a_link_that_loses_everything_passes_nothing(lab: SmallLab) -> None:
    lab.faults.slow_link("dc1", "dc2", delay_ms=0, loss=1.0)
    assert not lab.hears("dc2", "dc1")
    assert lab.hears("dc3", "dc1")


def test_large_data_pass_a_slow_link_whole(lab: SmallLab) -> None:
    lab.faults.slow_link("dc1", "dc2", delay_ms=20)
    leader = lab.brokers.master()
    with lab.brokers.client(leader) as client:
        client.sadd("_kombu.binding.large", "x" * 4_000_000)
        wait_until(lambda: client.wait(2, 100) == 2, deadline_s=10, what="both replicas' copies")
        client.delete("_kombu.binding.large")


# Processes


def test_a_killed_process_is_gone_until_it_is_healed(lab: SmallLab) -> None:
    lab.faults.kill("dc3", "redis")
    assert not processes.is_alive(lab.record("dc3", "redis"))
    lab.faults.heal("kill dc3 redis")
    assert processes.listens(lab.record("dc3", "redis"))
    assert lab.faults.active() == ()


def test_a_frozen_process_lives_and_is_silent(lab: SmallLab) -> None:
    lab.faults.stop("dc3", "redis")
    assert lab.brokers.info("dc3", "server") is None
    assert processes.is_alive(lab.record("dc3", "redis"))
    lab.faults.resume("dc3", "redis")
    assert lab.brokers.info("dc3", "server")
    assert lab.faults.active() == ()


def test_a_restart_gives_a_new_process_and_ends_the_fault(lab: SmallLab) -> None:
    old = lab.record("dc3", "sentinel")
    lab.faults.stop("dc3", "sentinel")
    lab.faults.restart("dc3", "sentinel")
    assert lab.record("dc3", "sentinel").pid != old.pid
    assert lab.faults.active() == ()


def test_children_die_with_the_process_unless_they_are_left(lab: SmallLab) -> None:
    for only_main in (False, True):
        lab.faults.restart("dc1", "sim-unifi")
        record = lab.record("dc1", "sim-unifi")
        child = with_child(lab, record.pid)
        lab.faults.kill("dc1", "sim-unifi", only_main=only_main)
        lives = child.is_running() and child.status() != psutil.STATUS_ZOMBIE
        assert lives is only_main
        if only_main:
            child.kill()


def with_child(lab: SmallLab, pid: int) -> psutil.Process:
    """Put a process with a child in the place of a process of the lab."""
    state = read_state(lab.paths)
    assert state is not None
    processes.kill(state.sites["dc1"].processes["sim-unifi"])
    spec = lab.faults._fleet.specs()["dc1", "sim-unifi"]
    code = "import subprocess; subprocess.run(['sleep', '60'])"
    parent = processes.start(
        processes.ProcessSpec(
            site="dc1",
            name="sim-unifi",
            command=(spec.command[0], "-c", code),
            log=spec.log,
            cwd=spec.cwd,
        )
    )
    state.sites["dc1"].processes["sim-unifi"] = parent
    write_state(lab.paths, state)
    process = psutil.Process(parent.pid)
    return wait_until(
        lambda: next(iter(process.children()), None), deadline_s=5, what=f"a child of {pid}"
    )


def test_a_process_that_cannot_come_up_is_named_and_stays_broken(lab: SmallLab) -> None:
    lab.faults.kill("dc3", "redis")
    conf = lab.brokers.files.conf("dc3", "redis")
    text = conf.read_text()
    conf.write_text("nonsense\n")
    with pytest.raises(LabError, match="redis of dc3 ended"):
        lab.faults.heal()
    assert [fault.id for fault in lab.faults.active()] == ["kill dc3 redis"]
    conf.write_text(text)
