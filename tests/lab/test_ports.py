"""Ports: the usual ones where free, else others, and the same ones again."""

import socket
from pathlib import Path

import pytest

from deploy.lab import ports
from deploy.lab.errors import LabError
from deploy.render.addresses import FleetAddresses
from deploy.topology import topology


def all_of(addresses: FleetAddresses) -> list[str]:
    found = [str(addresses.control), str(addresses.flower)]
    for site in addresses.sites.values():
        found += [str(a) for a in (site.redis, site.sentinel, site.agent, site.device) if a]
    return found


def test_every_listener_has_an_address_of_its_own() -> None:
    found = all_of(ports.choose(topology(), usual=False))
    assert len(found) == 2 + 3 * 3 + 2
    assert len(set(found)) == len(found)


def test_the_same_addresses_are_chosen_again() -> None:
    first = ports.choose(topology(), usual=False)
    assert ports.choose(topology(), usual=True, known=first) == first


def test_a_taken_port_is_replaced_and_the_others_stay() -> None:
    first = ports.choose(topology(), usual=False)
    with socket.create_server((first.control.host, first.control.port)):
        second = ports.choose(topology(), usual=False, known=first)
    assert second.control != first.control
    assert second.sites == first.sites
    assert second.flower == first.flower


def test_addresses_survive_their_file(tmp_path: Path) -> None:
    first = ports.choose(topology(), usual=False)
    file = tmp_path / "addresses.json"
    file.write_text(first.model_dump_json(), encoding="utf-8")
    assert ports.read(file) == first


def test_no_file_means_not_started(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="turtle lab up"):
        ports.read(tmp_path / "addresses.json")


def test_sentinels_are_asked_from_near_to_far() -> None:
    chosen = ports.choose(topology(), usual=False)
    assert chosen.sentinels_from("dc2")[0] == chosen.sites["dc2"].sentinel
    assert set(chosen.sentinels_from("dc2")) == {s.sentinel for s in chosen.sites.values()}
