"""Rendered files say what the topology says, and carry no secret that they need not."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.lab.site_files import SiteFiles
from deploy.render import acl, fly, redis, systemd, toml_text
from deploy.render.addresses import FleetAddresses, HostPort, SiteAddresses
from deploy.topology import Topology, topology
from fleet.policy.errors import ConfigurationError
from tasks.settings import load_settings

USERS = (*acl.redis_users(topology()), *acl.sentinel_users())
PASSWORDS = {user: f"secret-of-{user}" for user in USERS}


def addresses() -> FleetAddresses:
    return FleetAddresses(
        sites={
            name: SiteAddresses(
                redis=HostPort(host=f"10.{i}.0.2", port=6379),
                sentinel=HostPort(host=f"10.{i}.0.2", port=26379),
                agent=HostPort(host=f"10.{i}.0.2", port=8787),
            )
            for i, name in enumerate(topology().names, 1)
        },
        control=HostPort(host="10.3.0.2", port=8000),
        flower=HostPort(host="10.3.0.2", port=5555),
    )


def lines_of_redis(site: str, shape: Topology | None = None) -> list[str]:
    return redis.redis_conf(
        shape or topology(),
        addresses(),
        site=site,
        master="dc1",
        passwords=PASSWORDS,
        data_dir=Path("/data"),
        acl_file=Path("/users.acl"),
    ).splitlines()


def test_redis_of_the_first_master_follows_nobody() -> None:
    lines = lines_of_redis("dc1")
    assert not [line for line in lines if line.startswith("replicaof")]
    assert {"replica-priority 10", "min-replicas-to-write 1", "min-replicas-max-lag 2"} <= set(
        lines
    )
    assert {"appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction"} <= set(lines)


def test_redis_of_dc3_follows_and_is_never_promoted() -> None:
    lines = lines_of_redis("dc3")
    assert "replicaof 10.1.0.2 6379" in lines
    assert "replica-priority 0" in lines
    assert "replica-announce-ip 10.3.0.2" in lines


def test_unsafe_timing_is_not_rendered() -> None:
    unsafe = topology().broker.model_copy(update={"max_lag_s": 10})
    with pytest.raises(ConfigurationError, match="unsafe broker settings"):
        lines_of_redis("dc1", topology().model_copy(update={"broker": unsafe}))


def test_access_lists_hold_digests_and_no_password() -> None:
    text = acl.redis_acl(topology(), PASSWORDS) + acl.sentinel_acl(PASSWORDS)
    assert "user default off" in text
    assert not [password for password in PASSWORDS.values() if password in text]
    assert not [
        line for line in text.splitlines()[1:] if " nopass" in line and "default" not in line
    ]


@pytest.mark.parametrize("site", ["dc1", "dc2", "dc3"])
def test_each_box_can_read_its_turtle_toml(
    site: str, site_files: SiteFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    site_files.write()
    monkeypatch.setenv("TURTLE_CONFIG", str(site_files.paths.config(site)))
    found = load_settings()
    own = site_files.addresses.sites[site]
    assert found.site == site
    assert found.capabilities == topology().site(site).capabilities
    assert found.broker.sentinels[0] == str(own.sentinel)
    assert len(set(found.broker.sentinels)) == 3
    assert found.broker.password()
    assert found.control is not None
    assert found.control.token().startswith("tf_")
    assert {name: home.number for name, home in found.homes.items()} == topology().home_numbers
    assert set(found.peers) == set(topology().names) - {site}


def test_only_the_control_plane_has_its_table(site_files: SiteFiles) -> None:
    site_files.write()
    tables = {
        site: tomllib.loads(site_files.paths.config(site).read_text(encoding="utf-8"))
        for site in topology().names
    }
    assert [site for site, table in tables.items() if "control_plane" in table] == ["dc3"]
    assert tables["dc1"]["udm"]["url"] == f"http://{site_files.addresses.sites['dc1'].device}"
    assert "udm" not in tables["dc2"]
    assert tables["dc3"]["broker"]["username"] == "control"
    assert tables["dc3"]["control_plane"]["debug"] is False


def test_a_lan_box_gets_a_worker_and_the_control_site_none() -> None:
    dc1 = systemd.units(topology().site("dc1"))
    assert "mini-1@dc1 --without-mingle --without-gossip" in dc1["turtle-worker.service"]
    assert all("UMask=0077" in text for text in dc1.values())
    assert "turtle-worker.service" not in systemd.units(topology().site("dc3"))


def test_fly_toml_is_toml_that_never_stops_a_voter() -> None:
    text = fly.fly_toml(topology(), app="turtle", region="fra", host="fleet.example.org")
    parsed = tomllib.loads(text)
    assert parsed["http_service"]["auto_stop_machines"] == "off"
    assert {"redis", "sentinel", "control"} <= set(parsed["processes"])
    assert parsed["env"]["TURTLE_CONTROL_PLANE__ALLOWED_HOSTS"] == '["fleet.example.org"]'
    assert {mount["processes"][0] for mount in parsed["mounts"]} >= {"redis", "sentinel"}


text_values = st.text(st.characters(exclude_categories=["Cs"]))
plain_values = st.one_of(text_values, st.booleans(), st.integers(-(2**53), 2**53))
values = st.one_of(plain_values, st.lists(plain_values), st.dictionaries(text_values, plain_values))
tables = st.dictionaries(text_values, st.one_of(values, st.dictionaries(text_values, values)))


@given(tables)
def test_written_toml_reads_back_the_same(table: dict[str, toml_text.Value]) -> None:
    assert tomllib.loads(toml_text.dumps(table)) == table
