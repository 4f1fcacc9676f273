"""What an OpenWrt router's answers mean."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.policy.errors import Blame, ConfigurationError, TheirError
from probes.device_http import Answer
from probes.openwrt import rpc
from probes.openwrt.links import DeviceState, InterfaceState, device, devices, interfaces
from probes.openwrt.rpc import Method, NoAccessError, UbusError, data_from, session_from
from probes.openwrt.system import (
    CpuTimes,
    SystemState,
    cpu_percent,
    cpu_times,
    system_state,
    temperature_c,
)
from tests.probes.support import fixture
from tests.probes.test_values import JSON

BOARD = Method(object="system", name="board")


@pytest.fixture
def router() -> dict[str, Any]:
    return fixture("openwrt_router")


def answer(**body: Any) -> Answer:
    return Answer(status=200, body=json.dumps({"jsonrpc": "2.0", "id": 1, **body}).encode())


def test_a_routers_state_in_plain_units(router: dict[str, Any]) -> None:
    assert system_state(router["board"], router["info"], 12.5, 51.0) == SystemState(
        hostname="router",
        model="Example AX3000",
        board="example,ax3000",
        release="OpenWrt 24.10.2 r28739",
        kernel="6.6.93",
        uptime_s=3007,
        load_1=0.1,
        load_5=1.0,
        load_15=1.5,
        cpu_percent=12.5,
        temperature_c=51.0,
        memory_total_bytes=268_435_456,
        memory_available_bytes=201_326_592,
        memory_percent=25.0,
        storage_total_bytes=12_288_000,
        storage_free_bytes=8_192_000,
    )


def test_what_a_router_does_not_tell_is_unknown() -> None:
    assert system_state({}, {}, None, None) == SystemState()


def test_cpu_is_measured_between_two_readings() -> None:
    before = cpu_times("cpu  100 0 50 800 50 0 0 0 7 7\ncpu0 1 2 3\n")
    after = cpu_times("cpu  130 0 60 850 60 0 0 0 9 9\n")
    assert before == CpuTimes(busy=150, total=1000)
    assert cpu_percent(before, after) == 40.0


@pytest.mark.parametrize("content", ["", "cpu", "cpu 1 2 3", "cpu a b c d e f", "intr 1 2 3 4 5 6"])
def test_a_stat_file_of_another_form_is_no_measurement(content: str) -> None:
    assert cpu_times(content) is None
    assert cpu_percent(cpu_times(content), CpuTimes(busy=1, total=2)) is None


def test_two_readings_without_time_between_are_no_measurement() -> None:
    assert cpu_percent(CpuTimes(busy=5, total=9), CpuTimes(busy=5, total=9)) is None


@pytest.mark.parametrize(("content", "read"), [("51250\n", 51.2), ("", None), (None, None)])
def test_a_thermal_zone(content: str | None, read: float | None) -> None:
    assert temperature_c(content) == read


def test_interfaces(router: dict[str, Any]) -> None:
    guest, wan, lan = interfaces(router["dump"])
    assert guest == InterfaceState(
        name="guest",
        up=False,
        available=False,
        proto="static",
        device="eth9",
        errors=("interface: NO_DEVICE",),
    )
    assert wan == InterfaceState(
        name="wan",
        up=True,
        available=True,
        proto="pppoe",
        device="pppoe-wan",
        uptime_s=35,
        addresses=("203.0.113.2/30", "2001:db8::2/64"),
        has_default_route=True,
        dns_servers=("203.0.113.1",),
    )
    assert not lan.has_default_route
    assert json.loads(json.dumps(wan.as_json())) == wan.as_json()


def test_devices(router: dict[str, Any]) -> None:
    bridge, port = devices(router["status"])
    assert bridge == DeviceState(name="br-lan", up=True, carrier=False, present=True, type="bridge")
    assert (port.name, port.speed_mbit_per_s, port.full_duplex) == ("eth1", 1000, True)
    assert port.counters == {
        "rx_bytes": 18_446_744_073_709_551_000,
        "tx_bytes": 924,
        "rx_errors": 0,
    }


@given(st.text(), JSON, JSON)
def test_any_answer_gives_states_that_can_be_sent(name: str, one: Any, two: Any) -> None:
    row = {"statistics": one, "speed": two, "mtu": one, "macaddr": two, "up": one}
    interface = {"interface": name, "ipv4-address": one, "route": two, "errors": [one, {}]}
    info = {"load": one, "memory": two, "root": one, "uptime": two}
    sent = [
        device("eth0", row).as_json(),
        *(state.as_json() for state in devices({name: row, "x": one})),
        *(state.as_json() for state in interfaces({"interface": [interface, one]})),
        system_state({"release": one}, info, None, None).as_json(),
    ]
    json.dumps(sent, allow_nan=False).encode()


def test_a_success_without_data_is_empty() -> None:
    assert data_from(answer(result=[0]), BOARD) == {}


@pytest.mark.parametrize(
    ("code", "blame", "transient"),
    [
        (2, Blame.OURS, False),
        (3, Blame.THEIRS, False),
        (4, Blame.THEIRS, False),
        (6, Blame.THEIRS, False),
        (7, Blame.THEIRS, True),
        (10, Blame.THEIRS, True),
        (99, Blame.THEIRS, False),
        (-32700, Blame.OURS, False),
        (-32602, Blame.OURS, False),
        (-32000, Blame.THEIRS, True),
        (-32003, Blame.THEIRS, True),
    ],
)
def test_each_code_has_its_blame(code: int, blame: Blame, transient: bool) -> None:
    body = {"result": [code]} if code > 0 else {"error": {"code": code, "message": "x"}}
    with pytest.raises(UbusError, match=r"system board: .*\(code ") as caught:
        data_from(answer(**body), BOARD)
    assert (caught.value.code, caught.value.blame, caught.value.transient) == (
        code,
        blame,
        transient,
    )


@pytest.mark.parametrize("code", [-32001, -32002])
def test_no_access_is_kept_apart_since_it_may_be_the_session(code: int) -> None:
    with pytest.raises(NoAccessError):
        data_from(answer(error={"code": code}), BOARD)


@pytest.mark.parametrize(
    ("status", "body", "transient"),
    [
        (404, b"", False),
        (403, b"", False),
        (503, b"", True),
        (200, b"<html>", True),
        (200, b"[]", False),
        (200, b'{"jsonrpc":"2.0","id":1}', True),
        (200, b'{"jsonrpc":"2.0","id":1,"result":[]}', True),
        (200, b'{"jsonrpc":"2.0","id":1,"result":["0"]}', None),
    ],
)
def test_what_is_no_answer_of_ubus(status: int, body: bytes, transient: bool | None) -> None:
    if transient is None:
        assert data_from(Answer(status=status, body=body), BOARD) == {}
        return
    with pytest.raises(TheirError) as caught:
        data_from(Answer(status=status, body=body), BOARD)
    assert caught.value.transient is transient


def test_a_login_opens_a_session_whose_id_is_not_shown() -> None:
    session = session_from(answer(result=[0, {"ubus_rpc_session": "ab" * 16}]), "turtle")
    assert session.id == "ab" * 16
    assert "abab" not in repr(session)


def test_refused_credentials_are_our_configuration() -> None:
    with pytest.raises(ConfigurationError, match=r"user 'turtle'.*\[openwrt\]"):
        session_from(answer(result=[6]), "turtle")


def test_a_login_while_the_login_daemon_is_down_may_be_tried_again() -> None:
    with pytest.raises(UbusError) as caught:
        session_from(answer(error={"code": -32000, "message": "Object not found"}), "turtle")
    assert caught.value.transient


def test_a_login_carries_the_empty_session() -> None:
    body = rpc.login("turtle", "x").body
    assert isinstance(body, dict)
    assert body["params"] == [
        "0" * 32,
        "session",
        "login",
        {"username": "turtle", "password": "x"},
    ]
