"""The moving numbers of a simulated OpenWrt router, in the shapes of the real calls."""

from pydantic import JsonValue

from deploy.lab.simulators.walks import Counter, Walk

RELEASE = "OpenWrt 24.10.2 (simulated)"
MEMORY_BYTES = 512 << 20
STORAGE_KIB = 98_304
TICKS_PER_S = 100
PROCESSORS = 4

DEFAULT_ROUTE = "0.0.0.0"  # noqa: S104 - a route's target, nothing is bound to it

#: The simulated router was booted this long before the simulator started.
UPTIME_BEFORE_S = 3_600

Table = dict[str, JsonValue]


class OpenWrtNumbers:
    """What calls return at a time, `elapsed_s` seconds after the start."""

    def __init__(self, seed: str) -> None:
        self._cpu = Walk(f"{seed}/cpu", 2, 55, 3)
        self._free = Walk(f"{seed}/memory", 0.35, 0.7, 0.01)
        self._temperature = Walk(f"{seed}/temperature", 46, 63, 0.5)
        self._rates = {name: Walk(f"{seed}/{name}", 2e4, 3e6, 2e5) for name in ("eth0", "eth1")}
        self._totals = {(name, way): Counter(1e8) for name in self._rates for way in ("rx", "tx")}
        self._busy = Counter(UPTIME_BEFORE_S * TICKS_PER_S * PROCESSORS * 0.1)
        self._cpu_at_s = 0.0

    def board(self) -> Table:
        """`system board`."""
        return {
            "kernel": "6.6.93",
            "hostname": "simulated-router",
            "system": "Simulated processor",
            "model": "Simulated OpenWrt router",
            "board_name": "simulated,router",
            "rootfs_type": "squashfs",
            "release": {"distribution": "OpenWrt", "version": "24.10.2", "description": RELEASE},
        }

    def info(self, elapsed_s: float, localtime_s: int) -> Table:
        """`system info`; loads with 16 bits of fraction, memory in bytes, storage in KiB."""
        load = int(self._cpu.at(elapsed_s) / 100 * PROCESSORS * 65_536)
        available = int(MEMORY_BYTES * self._free.at(elapsed_s))
        return {
            "localtime": localtime_s,
            "uptime": UPTIME_BEFORE_S + int(elapsed_s),
            "load": [load, load * 3 // 4, load // 2],
            "memory": {
                "total": MEMORY_BYTES,
                "free": available * 3 // 4,
                "shared": 1 << 20,
                "buffered": 1 << 16,
                "available": available,
                "cached": available // 8,
            },
            "root": _storage(STORAGE_KIB, STORAGE_KIB // 3),
            "tmp": _storage(MEMORY_BYTES // 2048, 1200),
            "swap": {"total": 0, "free": 0},
        }

    def interfaces(self, elapsed_s: float, wan_up: bool) -> Table:
        """`network.interface dump`."""
        uptime_s = UPTIME_BEFORE_S + int(elapsed_s)
        lan = _interface("lan", "br-lan", "static", "192.0.2.1", 24, uptime_s)
        return {"interface": [lan, _wan(uptime_s) if wan_up else _wan_down()]}

    def devices(self, elapsed_s: float, wan_up: bool) -> dict[str, Table]:
        """`network.device status`, by name; eth1 is the WAN port."""
        return {
            "eth0": self._device("eth0", elapsed_s, carrier=True),
            "eth1": self._device("eth1", elapsed_s, carrier=wan_up),
        }

    def proc_stat(self, elapsed_s: float) -> str:
        """`/proc/stat`: ticks since boot; its differences are the CPU's walk."""
        total = int((UPTIME_BEFORE_S + elapsed_s) * TICKS_PER_S * PROCESSORS)
        rate = self._cpu.at(elapsed_s) / 100 * TICKS_PER_S * PROCESSORS
        busy = min(total, self._busy.add(rate, elapsed_s))
        idle = total - busy
        user, iowait = busy * 2 // 3, idle // 100
        line = f"cpu  {user} 0 {busy - user} {idle - iowait} {iowait} 0 0 0 0 0\n"
        return f"{line}btime 1700000000\nprocesses 4211\n"

    def proc_loadavg(self, elapsed_s: float) -> str:
        """`/proc/loadavg`."""
        load = self._cpu.at(elapsed_s) / 100 * PROCESSORS
        return f"{load:.2f} {load * 0.75:.2f} {load * 0.5:.2f} 1/97 4211\n"

    def temperature(self, elapsed_s: float) -> str:
        """A thermal zone's `temp`, in thousandths of a degree Celsius."""
        return f"{int(self._temperature.at(elapsed_s) * 1000)}\n"

    def _device(self, name: str, elapsed_s: float, *, carrier: bool) -> Table:
        rate = self._rates[name].at(elapsed_s) * carrier
        received = self._totals[name, "rx"].add(rate, elapsed_s)
        sent = self._totals[name, "tx"].add(rate / 8, elapsed_s)
        statistics: Table = {
            "rx_bytes": received,
            "tx_bytes": sent,
            "rx_packets": received // 900,
            "tx_packets": sent // 400,
            **dict.fromkeys(("rx_errors", "tx_errors", "rx_dropped", "tx_dropped"), 0),
            "collisions": 0,
        }
        return {
            "external": False,
            "present": True,
            "type": "Network device",
            "up": True,
            "carrier": carrier,
            "speed": "1000F" if carrier else "-1F",
            "devtype": "ethernet",
            "mtu": 1500,
            "macaddr": f"02:00:00:00:00:0{name[-1]}",
            "statistics": statistics,
        }


def _storage(total_kib: int, used_kib: int) -> Table:
    free = total_kib - used_kib
    return {"total": total_kib, "free": free, "used": used_kib, "avail": free}


def _interface(name: str, device: str, proto: str, address: str, mask: int, uptime_s: int) -> Table:
    return {
        "interface": name,
        "up": True,
        "pending": False,
        "available": True,
        "autostart": True,
        "dynamic": False,
        "uptime": uptime_s,
        "l3_device": device,
        "proto": proto,
        "device": device,
        "metric": 0,
        "ipv4-address": [{"address": address, "mask": mask}],
        "ipv6-address": [],
        "ipv6-prefix": [],
        "route": [],
        "dns-server": [],
        "data": {},
    }


def _wan(uptime_s: int) -> Table:
    return {
        **_interface("wan", "eth1", "dhcp", "198.51.100.7", 24, uptime_s),
        "route": [{"target": DEFAULT_ROUTE, "mask": 0, "nexthop": "198.51.100.1"}],
        "dns-server": ["198.51.100.1"],
    }


def _wan_down() -> Table:
    return {
        "interface": "wan",
        "up": False,
        "pending": True,
        "available": True,
        "autostart": True,
        "dynamic": False,
        "proto": "dhcp",
        "device": "eth1",
        "data": {},
        "errors": [{"subsystem": "interface", "code": "NO_CARRIER"}],
    }
