"""The gateway's state from the console's rows."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.unifi.health import GatewayHealth, gateway_health, system_info
from tests.probes.support import fixture
from tests.probes.test_values import JSON


@pytest.fixture
def rows() -> dict[str, Any]:
    return fixture("unifi_gateway")


def read(rows: dict[str, Any]) -> GatewayHealth:
    return gateway_health(rows["health"], rows["device"], rows["sysinfo"])


def test_a_gateway_that_tells_everything(rows: dict[str, Any]) -> None:
    assert read(rows) == GatewayHealth(
        name="Gateway",
        model="UDMPRO",
        version="5.0.12.30269",
        state="connected",
        uptime_s=3_971_869,
        wan_up=True,
        wan_latency_ms=7.0,
        wan_availability_percent=99.8,
        wan_rx_bytes_per_s=120_000.0,
        wan_tx_bytes_per_s=4000.0,
        cpu_percent=56.3,
        memory_percent=49.1,
        temperatures_c={"CPU": 53.0, "Local": 49.5},
        subsystems={"wlan": "ok", "wan": "ok", "www": "ok", "lan": "warning"},
    )


def test_no_rows_are_no_values() -> None:
    assert gateway_health([], [], []) == GatewayHealth()


def test_statistics_come_from_health_when_the_device_has_none(rows: dict[str, Any]) -> None:
    rows["device"][1]["system-stats"] = {}
    assert read(rows).cpu_percent == 12.5


def test_a_link_that_is_down_has_no_latency(rows: dict[str, Any]) -> None:
    wan = rows["health"][1]
    wan["status"] = "error"
    wan["uptime_stats"]["WAN"] = {"availability": 12, "monitors": [{"availability": 0.0}]}
    health = read(rows)
    assert health.wan_up is False
    assert health.wan_latency_ms is None
    assert health.wan_availability_percent == 12.0


def test_the_uplink_tells_when_health_does_not(rows: dict[str, Any]) -> None:
    rows["health"] = []
    health = read(rows)
    assert health.wan_up is True
    assert health.wan_latency_ms == 9.0


def test_monitors_are_averaged_when_there_is_no_summary(rows: dict[str, Any]) -> None:
    rows["health"][1]["uptime_stats"]["WAN"] = {
        "monitors": [
            {"target": "1.1.1.1", "latency_average": 5},
            {"target": "9.9.9.9", "latency_average": 8},
            {"target": "", "latency_average": 99},
        ]
    }
    assert read(rows).wan_latency_ms == 6.5


def test_older_gateways_name_temperatures_in_the_statistics(rows: dict[str, Any]) -> None:
    gateway = rows["device"][1]
    gateway["type"] = "ugw"
    gateway["temperatures"] = []
    gateway["system-stats"]["temps"] = {"CPU": "72 C", "PHY": "n/a"}
    assert read(rows).temperatures_c == {"CPU": 72.0}


@pytest.mark.parametrize(("sent", "state"), [("x", None), (4, "upgrading"), (77, "state 77")])
def test_a_device_state_is_named_or_left_as_it_is(
    rows: dict[str, Any], sent: object, state: str | None
) -> None:
    rows["device"][1]["state"] = sent
    assert read(rows).state == state


def test_system_info(rows: dict[str, Any]) -> None:
    info = system_info(rows["sysinfo"])
    assert info.version == "10.1.68"
    assert info.console_version == "5.0.12"
    assert info.uptime_s == 3_971_900
    assert info.update_available is False


STAT_KEYS = ("system-stats", "temperatures", "temps", "name", "value", "state", "uptime")
WAN_KEYS = ("uptime_stats", "WAN", "monitors", "latency_average", "availability", "up")
KEYS = st.sampled_from(["subsystem", "status", "type", "uplink", "wan1", *STAT_KEYS, *WAN_KEYS])
ROW = st.dictionaries(KEYS, st.sampled_from(["wan", "udm", "ok"]) | JSON, max_size=6)


@given(st.lists(ROW, max_size=3), st.lists(ROW, max_size=3), st.lists(ROW, max_size=2))
def test_any_rows_give_a_state_that_can_be_sent(
    health: list[dict[str, Any]], devices: list[dict[str, Any]], sysinfo: list[dict[str, Any]]
) -> None:
    state = gateway_health(health, devices, sysinfo)
    json.dumps(state.as_json(), allow_nan=False).encode()
    assert state.cpu_percent is None or 0 <= state.cpu_percent <= 100
