"""The state of a gateway, read from the console's `stat/health`, `stat/device`, `stat/sysinfo`.

Field names differ between models and versions: each value lists its places, the best first.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TypeVar

from pydantic import JsonValue

from probes.values import (
    Table,
    count,
    degrees_c,
    flag,
    latency_ms,
    number,
    percent,
    table,
    tables,
    text,
    whole,
)

T = TypeVar("T")

GATEWAY_TYPES = ("udm", "ugw", "uxg")

DEVICE_STATES = {
    0: "disconnected",
    1: "connected",
    2: "pending",
    4: "upgrading",
    5: "provisioning",
    6: "heartbeat missed",
    9: "inform error",
    11: "isolated",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayHealth:
    """A gateway's state; None is what the console did not tell.

    `wan_availability_percent` is the share of the console's own probes of the internet that
    were answered; `subsystems` has the console's word for each (ok, warning, error, unknown).
    """

    name: str | None = None
    model: str | None = None
    version: str | None = None
    state: str | None = None
    uptime_s: int | None = None
    wan_up: bool | None = None
    wan_latency_ms: float | None = None
    wan_availability_percent: float | None = None
    wan_rx_bytes_per_s: float | None = None
    wan_tx_bytes_per_s: float | None = None
    cpu_percent: float | None = None
    memory_percent: float | None = None
    temperatures_c: dict[str, float] = field(default_factory=dict)
    subsystems: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, JsonValue]:
        """The same as a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemInfo:
    """What the console says about itself; `version` is the network application's."""

    hostname: str | None = None
    device_type: str | None = None
    version: str | None = None
    build: str | None = None
    console_version: str | None = None
    uptime_s: int | None = None
    update_available: bool | None = None

    def as_json(self) -> dict[str, JsonValue]:
        """The same as a JSON object."""
        return asdict(self)


def system_info(rows: Sequence[Table]) -> SystemInfo:
    """The console's row of `stat/sysinfo`."""
    row = rows[0] if rows else {}
    return SystemInfo(
        hostname=text(row.get("hostname")) or text(row.get("name")),
        device_type=text(row.get("ubnt_device_type")),
        version=text(row.get("version")),
        build=text(row.get("build")),
        console_version=text(row.get("console_display_version")) or text(row.get("udm_version")),
        uptime_s=count(row.get("uptime")),
        update_available=flag(row.get("update_available")),
    )


def gateway_health(
    health: Sequence[Table], devices: Sequence[Table], sysinfo: Sequence[Table]
) -> GatewayHealth:
    """Bring together the rows of the three `stat` calls."""
    device = _gateway(devices)
    wan = next((row for row in health if row.get("subsystem") == "wan"), {})
    console = system_info(sysinfo)
    stats, wan_stats = table(device.get("system-stats")), table(wan.get("gw_system-stats"))
    up = _wan_up(wan, device)
    return GatewayHealth(
        name=text(device.get("name")) or text(wan.get("gw_name")) or console.hostname,
        model=text(device.get("model")) or console.device_type,
        version=text(device.get("version")) or text(wan.get("gw_version")),
        state=_state(device),
        uptime_s=_first(
            count,
            [device.get("uptime"), stats.get("uptime"), wan_stats.get("uptime"), console.uptime_s],
        ),
        wan_up=up,
        wan_latency_ms=_wan_latency_ms(wan, device, up),
        wan_availability_percent=_wan_availability_percent(wan, device),
        wan_rx_bytes_per_s=_wan_rate(wan, device, "rx_bytes-r"),
        wan_tx_bytes_per_s=_wan_rate(wan, device, "tx_bytes-r"),
        cpu_percent=_first(percent, [stats.get("cpu"), wan_stats.get("cpu")]),
        memory_percent=_first(percent, [stats.get("mem"), wan_stats.get("mem")]),
        temperatures_c=_temperatures_c(device),
        subsystems=_subsystems(health),
    )


def _gateway(devices: Sequence[Table]) -> Table:
    return next((row for row in devices if row.get("type") in GATEWAY_TYPES), {})


def _state(device: Table) -> str | None:
    state = whole(device.get("state"))
    return None if state is None else DEVICE_STATES.get(state, f"state {state}")


def _first(read: Callable[[object], T | None], places: Iterable[object]) -> T | None:
    return next((found for found in map(read, places) if found is not None), None)


def _wan_up(wan: Table, device: Table) -> bool | None:
    status = {"ok": True, "error": False}.get(text(wan.get("status")) or "")
    if status is not None:
        return status
    return _first(flag, [table(device.get("uplink")).get("up"), _wan1(device).get("up")])


def _wan1(device: Table) -> Table:
    return table(device.get("wan1"))


def _wan_rate(wan: Table, device: Table, key: str) -> float | None:
    rate = _first(number, [wan.get(key), table(device.get("uplink")).get(key)])
    return rate if rate is not None and rate >= 0 else None


def _wan_latency_ms(wan: Table, device: Table, up: bool | None) -> float | None:
    measured = [_wan_statistics(wan).get("latency_average")]
    monitored = _monitored(latency_ms, wan, device, "latency_average")
    # On a link that is down, the link's own field keeps a stale value or 0.
    stale = [_wan1(device).get("latency"), table(device.get("uplink")).get("latency")]
    return _first(latency_ms, [*measured, monitored, *(() if up is False else stale)])


def _wan_availability_percent(wan: Table, device: Table) -> float | None:
    return _first(
        percent,
        [
            _wan_statistics(wan).get("availability"),
            _wan1(device).get("availability"),
            _monitored(percent, wan, device, "availability"),
        ],
    )


def _wan_statistics(row: Table) -> Table:
    return table(table(row.get("uptime_stats")).get("WAN"))


def _monitored(
    read: Callable[[object], float | None], wan: Table, device: Table, key: str
) -> float | None:
    """The mean over the monitors; those without a target never measured anything."""
    monitors = [
        monitor
        for row in (wan, device)
        for monitor in tables(_wan_statistics(row).get("monitors"))
        if text(monitor.get("target"))
    ]
    values = [value for value in (read(m.get(key)) for m in monitors) if value is not None]
    return round(sum(values) / len(values), 2) if values else None


def _temperatures_c(device: Table) -> dict[str, float]:
    """By the sensor's name; `has_temperature` is not asked, since it is known to lie."""
    old_style = table(table(device.get("system-stats")).get("temps"))
    listed = [(row.get("name"), row.get("value")) for row in tables(device.get("temperatures"))]
    named = ((text(name), degrees_c(value)) for name, value in [*old_style.items(), *listed])
    return {name: value for name, value in named if name is not None and value is not None}


def _subsystems(health: Sequence[Table]) -> dict[str, str]:
    named = ((text(row.get("subsystem")), text(row.get("status"))) for row in health)
    return {name: status for name, status in named if name and status}
