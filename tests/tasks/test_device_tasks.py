"""The device and network tasks, called as functions against simulated devices."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.lab.simulators.device import Options
from deploy.lab.simulators.openwrt import OpenWrtRouter
from deploy.lab.simulators.server import DeviceServer, serving
from deploy.lab.simulators.unifi import UnifiConsole
from fleet.policy.effects import EffectClass
from fleet.policy.errors import BadArgumentsError, ConfigurationError, UnknownNameError
from tasks import network, openwrt, udm
from tasks.base import FleetTask
from tasks.settings import settings

ACCOUNT = Options(username="turtle", password="correct horse")
TASKS = [
    udm.gateway_health,
    udm.sysinfo,
    openwrt.system,
    openwrt.interfaces,
    openwrt.devices,
    network.tcp_check,
    network.http_check,
    network.dns_check,
    network.link_latency,
]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Variables set here count as this box's configuration."""
    settings.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    settings.cache_clear()


def configure(environment: pytest.MonkeyPatch, table: str, url: str, folder: Path) -> None:
    secret = folder / "device.password"
    secret.write_text(ACCOUNT.password, encoding="utf-8")
    secret.chmod(0o600)
    for key, value in {"URL": url, "USERNAME": "turtle", "PASSWORD_FILE": str(secret)}.items():
        environment.setenv(f"TURTLE_{table}__{key}", value)


@pytest.fixture
def console(environment: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[DeviceServer]:
    with serving(DeviceServer("127.0.0.1", 0, UnifiConsole(ACCOUNT))) as server:
        configure(environment, "UDM", server.url, tmp_path)
        yield server
        udm.client(settings().udm).close()
        udm.client.cache_clear()


@pytest.fixture
def router(environment: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[DeviceServer]:
    with serving(DeviceServer("127.0.0.1", 0, OpenWrtRouter(ACCOUNT))) as server:
        configure(environment, "OPENWRT", server.url, tmp_path)
        yield server
        openwrt.client(settings().openwrt).close()
        openwrt.client.cache_clear()


def test_the_gateways_health_over_one_session(console: DeviceServer) -> None:
    first, second = udm.gateway_health.run(), udm.gateway_health.run()
    assert json.loads(json.dumps(first)) == first
    assert second["wan_up"] is True
    assert udm.sysinfo.run()["hostname"] == "simulated-console"
    assert console.device.logins == 1


def test_the_routers_state(router: DeviceServer) -> None:
    state = openwrt.system.run()
    assert json.loads(json.dumps(state)) == state
    assert state["hostname"] == "simulated-router"
    assert 0 <= state["cpu_percent"] <= 100
    assert [row["name"] for row in openwrt.interfaces.run()["interfaces"]] == ["lan", "wan"]
    assert openwrt.devices.run("eth1")["devices"][0]["name"] == "eth1"
    assert router.device.logins == 1


@pytest.mark.parametrize(
    ("task", "table"), [(udm.gateway_health, "[udm]"), (openwrt.system, "[openwrt]")]
)
@pytest.mark.usefixtures("environment")
def test_a_box_without_the_device_says_what_to_write(task: FleetTask, table: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        task.run()
    assert table in str(caught.value)
    assert "turtle.toml" in str(caught.value)


def test_the_link_to_a_peer_of_the_configuration(environment: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        environment.setenv("TURTLE_PEERS", json.dumps({"dc2": address}))
        result = network.link_latency.run("dc2", count=2)
    assert (result["peer"], result["lost"]) == ("dc2", 0)


@pytest.mark.usefixtures("environment")
def test_a_peer_without_an_address_or_of_no_name() -> None:
    with pytest.raises(ConfigurationError, match=r"\[peers\]"):
        network.link_latency.run("dc2")
    with pytest.raises(UnknownNameError, match="did you mean"):
        network.link_latency.run("dc22")


def test_checks_of_this_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert network.tcp_check.run("127.0.0.1", port)["port"] == port
    with pytest.raises(BadArgumentsError, match="metadata"):
        network.http_check.run("http://169.254.169.254/")
    with pytest.raises(BadArgumentsError, match="nameserver"):
        network.dns_check.run("site.example", nameserver="nonsense")


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_each_task_declares_that_it_changes_nothing(task: FleetTask) -> None:
    contract = task.contract
    assert contract is not None
    assert contract.effect is EffectClass.A
    assert contract.name == f"{contract.capability}.{task.run.__name__}"
    assert contract.summary.endswith(".")
    assert contract.soft_time_limit_s is not None
    assert contract.soft_time_limit_s < contract.time_limit_s
