"""An OpenWrt router's logical interfaces and network devices."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from pydantic import JsonValue

from probes.values import Table, count, flag, table, tables, text, texts

COUNTERS = (
    "rx_bytes",
    "tx_bytes",
    "rx_packets",
    "tx_packets",
    "rx_errors",
    "tx_errors",
    "rx_dropped",
    "tx_dropped",
    "collisions",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceState:
    """A logical interface (wan, lan, ...) as netifd sees it; addresses as `address/mask`."""

    name: str
    up: bool | None = None
    available: bool | None = None
    proto: str | None = None
    device: str | None = None
    uptime_s: int | None = None
    addresses: tuple[str, ...] = ()
    has_default_route: bool = False
    dns_servers: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    def as_json(self) -> dict[str, JsonValue]:
        """The same as a JSON object."""
        lists = ("addresses", "dns_servers", "errors")
        return {**asdict(self), **{name: list(getattr(self, name)) for name in lists}}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """A network device; `counters` are totals since it appeared, bytes and packets."""

    name: str
    up: bool | None = None
    carrier: bool | None = None
    present: bool | None = None
    type: str | None = None
    mac: str | None = None
    mtu: int | None = None
    speed_mbit_per_s: int | None = None
    full_duplex: bool | None = None
    counters: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, JsonValue]:
        """The same as a JSON object."""
        return asdict(self)


def interfaces(dump: Table) -> list[InterfaceState]:
    """The interfaces of `network.interface dump`; rows without a name are left out."""
    return [
        InterfaceState(
            name=name,
            up=flag(row.get("up")),
            available=flag(row.get("available")),
            proto=text(row.get("proto")),
            device=text(row.get("l3_device")) or text(row.get("device")),
            uptime_s=count(row.get("uptime")),
            addresses=tuple(_addresses(row)),
            has_default_route=any(count(route.get("mask")) == 0 for route in _routes(row)),
            dns_servers=tuple(texts(row.get("dns-server"))),
            errors=tuple(_errors(row)),
        )
        for row in tables(dump.get("interface"))
        if (name := text(row.get("interface")))
    ]


def devices(status: Table) -> list[DeviceState]:
    """The devices of `network.device status` for all of them, sorted by name."""
    named = ((text(name), row) for name, row in status.items())
    found = (device(name, row) for name, row in named if name and isinstance(row, dict))
    return sorted(found, key=lambda state: state.name)


def device(name: str, row: Table) -> DeviceState:
    """The device of `network.device status` for one name."""
    speed, full_duplex = _speed(row.get("speed"))
    statistics = table(row.get("statistics"))
    read = {key: count(statistics.get(key)) for key in COUNTERS}
    return DeviceState(
        name=name,
        up=flag(row.get("up")),
        carrier=flag(row.get("carrier")),
        present=flag(row.get("present")),
        type=text(row.get("devtype")) or text(row.get("type")),
        mac=text(row.get("macaddr")),
        mtu=count(row.get("mtu")),
        speed_mbit_per_s=speed,
        full_duplex=full_duplex,
        counters={key: value for key, value in read.items() if value is not None},
    )


def _speed(value: object) -> tuple[int | None, bool | None]:
    """`1000F` is 1000 Mbit/s, full duplex; `-1F` stands for unknown."""
    word = text(value) or ""
    mbit_per_s = count(word[:-1]) if word[-1:] in ("F", "H") else None
    return (mbit_per_s, word[-1] == "F") if mbit_per_s else (None, None)


def _addresses(row: Table) -> Iterator[str]:
    for key in ("ipv4-address", "ipv6-address"):
        for entry in tables(row.get(key)):
            address, mask = text(entry.get("address")), count(entry.get("mask"))
            if address is not None:
                yield address if mask is None else f"{address}/{mask}"


def _routes(row: Table) -> list[Table]:
    everywhere = ("0.0.0.0", "::")  # noqa: S104 - a route's target, nothing is bound to it
    return [route for route in tables(row.get("route")) if route.get("target") in everywhere]


def _errors(row: Table) -> Iterator[str]:
    for entry in tables(row.get("errors")):
        parts = (text(entry.get("subsystem")), text(entry.get("code")))
        yield ": ".join(part for part in parts if part) or "unnamed error"
