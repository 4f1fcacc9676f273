"""The one truth, and what it says about mistakes in it."""

from pathlib import Path

import pytest

from deploy.topology import TOPOLOGY_FILE, read_topology, topology
from fleet.policy.errors import ConfigurationError

TEXT = TOPOLOGY_FILE.read_text(encoding="utf-8")


def test_the_fleet_is_three_sites_with_dc1_leading_first() -> None:
    fleet = topology()
    assert fleet.names == ("dc1", "dc2", "dc3")
    assert fleet.first_master.name == "dc1"
    assert fleet.control_site.name == "dc3"
    assert [site.name for site in fleet.worker_sites] == ["dc1", "dc2"]
    assert fleet.home_numbers == {"control": 0, "dc1": 1, "dc2": 2}


def test_an_unknown_site_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="unknown site 'dc9'; known: dc1, dc2, dc3"):
        topology().site("dc9")


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("max_lag_s = 2", "max_lag_s = 10", "unsafe broker settings"),
        ('name = "dc2"', 'name = "dc1"', "two sites have the same name"),
        ("number = 2", "number = 1", "two sites have the same number"),
        ('"openwrt", "dev"', '"opnwrt", "dev"', "did you mean openwrt"),
        ("quorum = 2", 'quorum = "two"', "broker.quorum"),
        ("control_plane = true", "control_plane = false", "exactly one site"),
        ('box = "mini-1"', 'box = "Mini 1"', "lower-case letters"),
        ("[broker]", "[broker", "is not TOML"),
        ("quorum = 2", "quorum = 2\nqorum = 2", "broker.qorum"),
    ],
)
def test_a_mistake_is_named_with_its_key(
    tmp_path: Path, right: str, wrong: str, words: str
) -> None:
    file = tmp_path / "topology.toml"
    file.write_text(TEXT.replace(right, wrong, 1), encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        read_topology(file)
    assert words in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read .*nowhere\.toml"):
        read_topology(tmp_path / "nowhere.toml")
