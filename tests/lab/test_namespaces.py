"""A network namespace a site: who reaches whom, and that nothing is left behind."""

import os
import shutil
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from deploy.lab import processes
from deploy.lab.driver import Driver
from deploy.lab.errors import LabError
from deploy.lab.lifecycle import Lab
from deploy.lab.namespaces import commands
from deploy.lab.namespaces.layout import BLOCKS, Layout, Names
from deploy.lab.namespaces.network import Network
from deploy.lab.paths import LabPaths
from deploy.lab.progress import Progress
from deploy.lab.waiting import wait_until
from deploy.topology import topology
from tests.lab.namespaced import SITES, SmallLab, needs_namespaces

needs_root = pytest.mark.usefixtures("root")


@pytest.fixture(scope="module")
def root() -> None:
    needs_namespaces()


def traces(names: Names) -> list[str]:
    """What the kernel has of a lab: namespaces, links, routes."""
    words = [
        word
        for command in (["netns", "list"], ["-o", "link"], ["route"])
        for word in commands.ip(*command).split()
    ]
    return [word for word in words if word.startswith(names.prefix)]


def test_names_are_short_and_differ_from_lab_to_lab() -> None:
    here, there = Names(Path("/one/lab")), Names(Path("/another/lab"))
    links = [names.operator_link(number) for names in (here, there) for number in (1, 2, 3)]
    assert max(map(len, links)) < 16
    assert len(set(links)) == 6
    assert here.site("dc1") != there.site("dc1")


def test_no_two_labs_share_an_address() -> None:
    layouts = [Layout(block) for block in BLOCKS]
    found = [
        address
        for layout in layouts
        for number in (1, 2, 3)
        for address in (
            layout.overlay(number),
            layout.public(number),
            layout.operator(number),
            layout.this_machine(number),
        )
    ]
    assert len(set(found)) == len(found) == 12 * len(BLOCKS)


def test_boxes_reach_the_control_plane_at_its_public_address_and_people_at_another() -> None:
    addresses = Layout().addresses(topology(), Names(Path("/lab")))
    control = topology().control_site.name
    assert addresses.control_from_boxes.host == addresses.sites[control].public_host
    assert addresses.control.host != addresses.control_from_boxes.host
    assert addresses.control_listens_at.host == "0.0.0.0"  # noqa: S104 - both of them


@pytest.mark.parametrize(("program", "package"), [("nft", "nftables"), ("ip", "iproute2")])
def test_a_missing_program_is_named_with_its_package(
    program: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == program else real(name))
    with pytest.raises(LabError, match=f"apt-get install .*{package}"):
        commands.require()


def test_without_root_the_reader_learns_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/sbin/{name}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match=r"sudo.*unshare --user"):
        commands.require()


@needs_root
@pytest.mark.integration
def test_what_is_made_is_removed_again_also_when_it_is_made_twice(tmp_path: Path) -> None:
    network = Network(topology=topology(), names=Names(tmp_path))
    first = network.make()
    try:
        assert network.make() == first, "an abandoned network keeps its addresses for itself"
        assert len(traces(network.names)) > len(SITES)
    finally:
        network.remove()
    assert traces(network.names) == []
    network.remove()


@needs_root
@pytest.mark.integration
def test_two_labs_live_side_by_side(tmp_path: Path) -> None:
    networks = [
        Network(topology=topology(), names=Names(tmp_path / name)) for name in ("one", "two")
    ]
    try:
        first, second = (network.make() for network in networks)
        assert {a.redis for a in first.sites.values()}.isdisjoint(
            a.redis for a in second.sites.values()
        )
    finally:
        for network in networks:
            network.remove()


@pytest.mark.integration
def test_every_site_reaches_every_other_one(lab: SmallLab) -> None:
    assert lab.links() == {(a, b) for a in SITES for b in SITES if a != b}


@pytest.mark.integration
def test_public_addresses_are_a_second_way(lab: SmallLab) -> None:
    assert lab.hears("dc3", "dc1", host=lab.public("dc3"))


@pytest.mark.integration
def test_no_site_uses_the_operators_way_of_another(lab: SmallLab) -> None:
    device = lab.brokers.addresses.sites["dc1"].device
    assert device is not None
    assert not lab.hears("dc1", "dc2", host=device.host)


@pytest.mark.integration
def test_a_listener_in_another_namespace_is_found(lab: SmallLab) -> None:
    record = lab.record("dc2", "redis")
    assert processes.listens(record)
    assert not processes.listens(record.model_copy(update={"address": "10.66.2.1:1"}))


@needs_root
@pytest.mark.integration
@pytest.mark.timeout(300)
def test_the_whole_fleet_runs_in_namespaces_and_leaves_nothing(tmp_path: Path) -> None:
    lab = Lab(
        paths=LabPaths(tmp_path / "lab"),
        topology=topology(),
        progress=Progress(Console(quiet=True)),
        driver=Driver.NAMESPACES,
    )
    names = Names(lab.paths.root)
    try:
        state = lab.up()
        assert state.driver is Driver.NAMESPACES
        assert {site.netns for site in state.sites.values()} == set(map(names.site, SITES))
        found = wait_until(
            lambda: finished(state.api_url, state.read_token), deadline_s=60, what="tasks"
        )
        assert set(found) == {"SUCCESSFUL"}
        lab.driver = Driver.LOOPBACK
        with pytest.raises(LabError, match="turtle lab down"):
            lab.up()
    finally:
        lab.clean()
    assert traces(names) == []
    assert not lab.paths.root.exists()


def finished(api_url: str, token: str) -> list[str] | None:
    """The states of all tasks, once none is on its way."""
    answer = httpx.get(f"{api_url}/tasks", headers={"Authorization": f"Bearer {token}"})
    states = [item["status"] for item in answer.json()["items"]]
    return states if set(states) <= {"SUCCESSFUL", "FAILED", "DEAD"} else None
