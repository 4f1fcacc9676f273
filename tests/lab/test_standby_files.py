"""What is written for the standby: a worker's box at the control plane's site, and no more."""

import tomllib
from pathlib import Path

import pytest

from deploy.lab.plan import MACHINES_PROCESS, ProcessPlan
from deploy.lab.site_files import SiteFiles
from deploy.render import acl, fly
from deploy.render.turtle_toml import standby_toml
from deploy.topology import TOPOLOGY_FILE, Topology, read_topology, topology
from fleet.policy import routing
from fleet.policy.errors import ConfigurationError
from tasks.settings import load_settings
from turtle_site.config import load_control_plane

USERS = (*acl.redis_users(topology()), *acl.sentinel_users())


def without_standby() -> Topology:
    shape = topology()
    sites = [site.model_copy(update={"standby_box": None}) for site in shape.sites]
    return shape.model_copy(update={"sites": tuple(sites)})


def test_the_standby_can_do_what_needs_no_lan_hardware() -> None:
    able = routing.standby_capabilities()
    assert set(able) | set(routing.LAN_HARDWARE) == set(routing.CAPABILITIES)
    assert not set(able) & set(routing.LAN_HARDWARE)
    assert "standby" in able


def test_the_standby_reads_its_turtle_toml(
    site_files: SiteFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    site_files.write()
    monkeypatch.setenv("TURTLE_CONFIG", str(site_files.standby_config))
    found = load_settings()
    assert (found.site, found.box, found.standby) == ("dc3", "standby-1", True)
    assert found.capabilities == routing.standby_capabilities()
    assert found.broker.username == "worker-dc3"
    assert found.broker.password()
    assert found.signing is None
    assert found.control is not None
    assert found.control.token().startswith("tf_")
    assert set(found.homes) == {"control", "dc1", "dc2"}
    assert all(root.is_dir() for root in (*found.dev.roots, found.state_dir))


def test_it_shares_neither_journal_nor_address_with_the_control_planes_own_box(
    site_files: SiteFiles,
) -> None:
    site_files.write()
    files = (site_files.paths.config("dc3"), site_files.standby_config)
    own, standby = (tomllib.loads(file.read_text(encoding="utf-8")) for file in files)
    assert own["state_dir"] != standby["state_dir"]
    assert own["agent_address"] != standby["agent_address"]
    assert own["box"] != standby["box"]
    assert "standby" not in own


def test_the_control_plane_knows_where_to_start_it(
    site_files: SiteFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    site_files.write()
    monkeypatch.setenv("TURTLE_CONFIG", str(site_files.paths.config("dc3")))
    machines = load_control_plane().machines
    assert machines is not None
    assert machines.url == f"http://{site_files.addresses.machines}"
    assert machines.token_file.read_text(encoding="utf-8").strip()
    specs = {spec.name: spec for spec in ProcessPlan(site_files).simulators()}
    command = specs[MACHINES_PROCESS].command
    assert {machines.app, machines.machine_id, str(machines.token_file)} <= set(command)


def test_what_runs_in_the_machine_knows_nothing_of_django(site_files: SiteFiles) -> None:
    specs = {spec.name: spec for spec in ProcessPlan(site_files).simulators()}
    assert "DJANGO_SETTINGS_MODULE" not in specs[MACHINES_PROCESS].env
    assert str(site_files.standby_config) in specs[MACHINES_PROCESS].command


def test_the_standby_may_take_from_the_queues_that_it_serves_and_no_others() -> None:
    text = acl.redis_acl(topology(), {user: f"secret-of-{user}" for user in USERS})
    rule = next(line for line in text.splitlines() if line.startswith("user worker-dc3 "))
    keys, _, selector = rule.partition("(")
    served = routing.queues_of_worker(routing.standby_capabilities(), "dc3")
    assert {f"~{queue}" for queue in served} <= set(keys.split())
    assert not {"~udm", "~openwrt", "~dev.dc1", "~udm.dc1"} & set(keys.split())
    assert "~udm" in selector.split()


def test_a_fleet_without_a_standby_has_no_traces_of_one() -> None:
    shape = without_standby()
    assert "worker-dc3" not in acl.redis_users(shape)
    with pytest.raises(ConfigurationError, match="standby_box"):
        fly.standby_fly_toml(shape, app="turtle-standby", region="fra")


def test_a_standby_without_an_address_is_refused(site_files: SiteFiles) -> None:
    site_files.write()
    addresses = site_files.addresses
    bare = addresses.sites["dc3"].model_copy(update={"standby": None})
    lacking = addresses.model_copy(update={"sites": {**addresses.sites, "dc3": bare}})
    with pytest.raises(ConfigurationError, match="no address"):
        standby_toml(
            topology(),
            lacking,
            places=site_files._places(topology().control_site),
            public_keys={},
        )


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ('standby_box = "standby-1"', 'standby_box = "fly-1"', "standby_box is another box"),
        ('standby_box = "standby-1"', 'standby_box = "Standby"', "lower-case letters"),
        ('box = "mini-1"', 'box = "mini-1"\nstandby_box = "mini-9"', "at the control plane's site"),
    ],
)
def test_a_mistake_in_the_topology_is_named(
    tmp_path: Path, right: str, wrong: str, words: str
) -> None:
    text = TOPOLOGY_FILE.read_text(encoding="utf-8")
    assert right in text
    file = tmp_path / "topology.toml"
    file.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="topology") as refused:
        read_topology(file)
    assert words in str(refused.value)


def test_the_standbys_machine_is_fast_can_be_suspended_and_nobody_else_starts_it() -> None:
    text = fly.standby_fly_toml(topology(), app="turtle-standby", region="fra")
    parsed = tomllib.loads(text)
    assert parsed["vm"] == [
        {"processes": ["standby"], "size": "performance-1x", "memory": "2048mb"}
    ]
    assert parsed["processes"] == {"standby": "python -m probes.standby"}
    assert "http_service" not in parsed
    assert "swap_size_mb" not in parsed
    assert parsed["restart"][0]["policy"] == "never"
    assert parsed["mounts"][0]["destination"] == "/data"


GOOD = """[control_plane]
secret_key_file = "/data/django.key"
database_url = "sqlite:////data/ledger.sqlite3"
[control_plane.machines]
app = "turtle-standby"
token_file = "/data/secrets/machines.token"
machine_id = "5714790ef5a1d8"
"""


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ('app = "turtle-standby"', 'app = "../other"', "control_plane.machines.app"),
        ('machine_id = "5714790ef5a1d8"', "", "control_plane.machines.machine_id"),
        ('machine_id = "5', 'machine_id = "x/y', "control_plane.machines.machine_id"),
        ('app = "', 'url = "api.machines.dev"\napp = "', "use http://host or https://host"),
        ('app = "', 'url = "http://u:p@host"\napp = "', "without a user"),
        ("token_file", "token", "did you mean token_file?"),
    ],
)
def test_a_mistake_in_the_machines_table_is_named_with_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, right: str, wrong: str, words: str
) -> None:
    assert right in GOOD
    config = tmp_path / "turtle.toml"
    config.write_text(GOOD.replace(right, wrong, 1), encoding="utf-8")
    monkeypatch.setenv("TURTLE_CONFIG", str(config))
    with pytest.raises(ConfigurationError) as refused:
        load_control_plane()
    assert words in str(refused.value)


def test_the_machines_table_needs_no_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "turtle.toml"
    config.write_text(GOOD, encoding="utf-8")
    monkeypatch.setenv("TURTLE_CONFIG", str(config))
    machines = load_control_plane().machines
    assert machines is not None
    assert machines.url == "https://api.machines.dev"
