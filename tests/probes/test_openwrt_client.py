"""The client against a simulated router that speaks ubus over HTTP."""

from collections.abc import Iterator

import pytest

from deploy.lab.simulators import openwrt as simulator
from deploy.lab.simulators.device import Reply, Request
from deploy.lab.simulators.server import DeviceServer
from fleet.policy.errors import (
    BadArgumentsError,
    Blame,
    ConfigurationError,
    FleetError,
    NetworkError,
)
from probes.device_http import DeviceHttp
from probes.openwrt.client import OpenWrtClient
from probes.openwrt.rpc import DeniedError, Method
from tests.probes.support import PASSWORD, Clock, closed_port, switch_fault


@pytest.fixture
def client(router: DeviceServer) -> Iterator[OpenWrtClient]:
    openwrt = OpenWrtClient(DeviceHttp(router.url, timeout_s=0.5), "turtle", lambda: PASSWORD)
    yield openwrt
    openwrt.close()


def test_it_reads_the_system(client: OpenWrtClient) -> None:
    state = client.system(cpu_interval_s=0)
    assert state.release == "OpenWrt 24.10.2 (simulated)"
    assert state.memory_total_bytes == 512 << 20
    assert state.temperature_c is not None
    assert 40 < state.temperature_c < 70
    # The simulator's clock stands, so nothing was measured.
    assert state.cpu_percent is None


def test_it_measures_the_cpu_while_time_passes(
    client: OpenWrtClient, router: DeviceServer, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    answer = router.device.answer

    def later(request: Request) -> Reply:
        clock.now_s += 1
        return answer(request)

    monkeypatch.setattr(router.device, "answer", later)
    percent = client.system(cpu_interval_s=0).cpu_percent
    assert percent is not None
    assert 0 <= percent <= 100


def test_it_reads_interfaces_and_devices(client: OpenWrtClient) -> None:
    lan, wan = client.interfaces()
    assert (lan.name, lan.has_default_route) == ("lan", False)
    assert (wan.name, wan.up, wan.has_default_route) == ("wan", True, True)
    assert [state.name for state in client.devices()] == ["eth0", "eth1"]
    assert client.devices("eth1")[0].speed_mbit_per_s == 1000


def test_counters_grow_with_time(client: OpenWrtClient, clock: Clock) -> None:
    before = client.devices("eth1")[0].counters["rx_bytes"]
    clock.now_s += 10
    assert client.devices("eth1")[0].counters["rx_bytes"] > before


def test_an_unknown_device_is_the_callers_mistake(client: OpenWrtClient) -> None:
    with pytest.raises(BadArgumentsError, match="no device 'eth7'"):
        client.devices("eth7")


def test_an_expired_session_is_opened_again(
    client: OpenWrtClient, router: DeviceServer, clock: Clock
) -> None:
    client.interfaces()
    clock.now_s += 31
    assert client.interfaces()
    assert router.device.logins == 2


def test_use_keeps_a_session_open(
    client: OpenWrtClient, router: DeviceServer, clock: Clock
) -> None:
    for _ in range(5):
        client.interfaces()
        clock.now_s += 20
    assert router.device.logins == 1


def test_a_denied_call_is_told_from_an_expired_session_by_one_login(
    client: OpenWrtClient, router: DeviceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.interfaces()
    without = simulator.GRANTED - {("network.device", "status")}
    monkeypatch.setattr(simulator, "GRANTED", without)
    for _ in range(3):
        with pytest.raises(DeniedError, match=r"may not call network\.device status") as caught:
            client.devices()
        assert not caught.value.transient
    assert router.device.logins == 2
    assert client.interfaces()


def test_a_grant_is_noticed_with_the_next_session(
    client: OpenWrtClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(simulator, "GRANTED", simulator.GRANTED - {("network.device", "status")})
        with pytest.raises(DeniedError):
            client.devices()
    clock.now_s += 31
    client.interfaces()
    assert client.devices()


def test_files_that_may_not_be_read_leave_their_values_unknown(
    client: OpenWrtClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulator, "GRANTED_FILES", ())
    state = client.system(cpu_interval_s=0)
    assert (state.cpu_percent, state.temperature_c) == (None, None)
    assert state.hostname == "simulated-router"


def test_an_account_without_file_access_still_reads_the_rest(
    client: OpenWrtClient, router: DeviceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulator, "GRANTED", simulator.GRANTED - {("file", "read")})
    assert client.system(cpu_interval_s=0).uptime_s is not None
    assert router.device.logins == 2


def test_a_wrong_password_is_our_configuration(router: DeviceServer) -> None:
    client = OpenWrtClient(DeviceHttp(router.url), "turtle", lambda: "guess-4711")
    with pytest.raises(ConfigurationError) as caught:
        client.interfaces()
    client.close()
    assert "guess-4711" not in str(caught.value)


@pytest.mark.parametrize(
    ("mode", "blame", "message"),
    [
        ("http_500", Blame.THEIRS, "HTTP 500"),
        ("bad_json", Blame.THEIRS, "no JSON"),
        ("slow", Blame.NETWORK, r"did not answer within 0\.5 s"),
    ],
)
def test_a_fault_is_transient_and_has_its_blame(
    client: OpenWrtClient, router: DeviceServer, mode: str, blame: Blame, message: str
) -> None:
    client.interfaces()
    switch_fault(router, mode)
    with pytest.raises(FleetError, match=message) as caught:
        client.interfaces()
    assert (caught.value.blame, caught.value.transient) == (blame, True)
    switch_fault(router, "none")
    assert client.interfaces()


def test_a_logout_is_survived_and_a_refused_login_is_not(
    client: OpenWrtClient, router: DeviceServer
) -> None:
    client.interfaces()
    switch_fault(router, "logout")
    assert client.interfaces()
    switch_fault(router, "logout")
    switch_fault(router, "refuse_login")
    with pytest.raises(ConfigurationError):
        client.interfaces()


def test_a_wan_that_is_down_is_seen(client: OpenWrtClient, router: DeviceServer) -> None:
    switch_fault(router, "wan_down")
    _, wan = client.interfaces()
    assert (wan.up, wan.errors) == (False, ("interface: NO_CARRIER",))
    assert client.devices("eth1")[0].carrier is False


def test_nobody_there_is_the_networks_fault() -> None:
    client = OpenWrtClient(DeviceHttp(f"http://127.0.0.1:{closed_port()}"), "turtle", lambda: "x")
    with pytest.raises(NetworkError):
        client.interfaces()
    client.close()


def test_an_object_that_is_missing_may_come_back(client: OpenWrtClient) -> None:
    with pytest.raises(FleetError, match="no such object, or its daemon is down") as caught:
        client._call(Method(object="iwinfo", name="devices"))
    assert caught.value.transient
