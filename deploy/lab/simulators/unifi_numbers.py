"""The moving numbers of a simulated UniFi gateway, in the shapes of the real API."""

from pydantic import JsonValue

from deploy.lab.simulators.walks import Counter, Walk

VERSION = "10.1.68"
FIRMWARE = "5.0.12.30269"

#: The simulated gateway was booted this long before the simulator started.
UPTIME_BEFORE_S = 86_400

Row = dict[str, JsonValue]


class UnifiNumbers:
    """Rows of `stat/*` at a time, `elapsed_s` seconds after the start."""

    def __init__(self, seed: str) -> None:
        self._cpu = Walk(f"{seed}/cpu", 4, 70, 4)
        self._memory = Walk(f"{seed}/memory", 40, 62, 0.4)
        self._cpu_c = Walk(f"{seed}/cpu-c", 48, 66, 0.6)
        self._board_c = Walk(f"{seed}/board-c", 42, 54, 0.3)
        self._latency = Walk(f"{seed}/latency", 4, 28, 1.5)
        self._rx = Walk(f"{seed}/rx", 20_000, 9_000_000, 900_000)
        self._tx = Walk(f"{seed}/tx", 10_000, 1_500_000, 150_000)
        self._rx_total, self._tx_total, self._down = Counter(4e9), Counter(9e8), Counter()

    def health(self, elapsed_s: float, wan_up: bool) -> list[JsonValue]:
        """Rows of `stat/health`."""
        status = "ok" if wan_up else "error"
        wan: Row = {
            "subsystem": "wan",
            "status": status,
            "num_gw": 1,
            "wan_ip": "203.0.113.10",
            "gw_name": "Simulated gateway",
            "gw_version": FIRMWARE,
            "gw_system-stats": self._system_stats(elapsed_s),
            "uptime_stats": {"WAN": self._wan_statistics(elapsed_s, wan_up)},
            **self._rates(elapsed_s, wan_up),
        }
        www: Row = {"subsystem": "www", "status": status, "drops": 0, "uptime": int(elapsed_s)}
        if wan_up:
            www["latency"] = round(self._latency.at(elapsed_s))
        return [
            {"subsystem": "wlan", "status": "ok", "num_ap": 0, "num_user": 0},
            wan,
            www,
            {"subsystem": "lan", "status": "ok", "num_sw": 1, "num_user": 7},
            {"subsystem": "vpn", "status": "unknown"},
        ]

    def devices(self, elapsed_s: float, wan_up: bool) -> list[JsonValue]:
        """Rows of `stat/device`: a switch, and the gateway."""
        return [
            {"type": "usw", "model": "USMINI", "name": "Simulated switch", "state": 1},
            self._gateway(elapsed_s, wan_up),
        ]

    def sysinfo(self, elapsed_s: float) -> list[JsonValue]:
        """The row of `stat/sysinfo`."""
        return [
            {
                "version": VERSION,
                "build": f"atag_{VERSION}_simulated",
                "hostname": "simulated-console",
                "uptime": self._uptime_s(elapsed_s),
                "update_available": False,
                "ubnt_device_type": "UDMPRO-SIMULATED",
                "console_display_version": FIRMWARE,
                "unsupported_device_count": 0,
            }
        ]

    def _gateway(self, elapsed_s: float, wan_up: bool) -> Row:
        latency = round(self._latency.at(elapsed_s)) if wan_up else 0
        rates = self._rates(elapsed_s, wan_up)
        link: Row = {"ip": "203.0.113.10", "up": wan_up, "latency": latency, **rates}
        return {
            "type": "udm",
            "model": "UDMPRO-SIMULATED",
            "name": "Simulated gateway",
            "version": FIRMWARE,
            "state": 1,
            "adopted": True,
            "uptime": self._uptime_s(elapsed_s),
            "system-stats": self._system_stats(elapsed_s),
            # The real one says so, too, and sends temperatures all the same.
            "has_temperature": False,
            "temperatures": self._temperatures(elapsed_s),
            "uplink": {"name": "eth8", "speed": 1000, **link, **self._totals(elapsed_s, wan_up)},
            "wan1": {"ifname": "eth8", **link},
        }

    def _system_stats(self, elapsed_s: float) -> Row:
        # Strings, as from the real device.
        return {
            "cpu": f"{self._cpu.at(elapsed_s):.1f}",
            "mem": f"{self._memory.at(elapsed_s):.1f}",
            "uptime": str(self._uptime_s(elapsed_s)),
        }

    def _temperatures(self, elapsed_s: float) -> list[JsonValue]:
        board = self._board_c.at(elapsed_s)
        return [
            {"name": "CPU", "type": "cpu", "value": round(self._cpu_c.at(elapsed_s), 1)},
            {"name": "Local", "type": "board", "value": round(board, 1)},
            {"name": "PHY", "type": "board", "value": round(board + 1.5, 2)},
        ]

    def _wan_statistics(self, elapsed_s: float, wan_up: bool) -> Row:
        down_s = self._down.add(0 if wan_up else 1, elapsed_s)
        monitor: Row = {"target": "1.1.1.1", "type": "icmp"}
        statistics: Row = {"availability": round(max(0.0, 100 - down_s / 36), 2)}
        if wan_up:
            # Absent while the link is down.
            latency = round(self._latency.at(elapsed_s))
            monitor["latency_average"] = statistics["latency_average"] = latency
        return {
            **statistics,
            "monitors": [{**monitor, "availability": statistics["availability"]}],
            "alerting_monitors": [],
        }

    def _rates(self, elapsed_s: float, wan_up: bool) -> Row:
        received, sent = (int(walk.at(elapsed_s)) * wan_up for walk in (self._rx, self._tx))
        return {"rx_bytes-r": received, "tx_bytes-r": sent}

    def _totals(self, elapsed_s: float, wan_up: bool) -> Row:
        return {
            "rx_bytes": self._rx_total.add(self._rx.at(elapsed_s) * wan_up, elapsed_s),
            "tx_bytes": self._tx_total.add(self._tx.at(elapsed_s) * wan_up, elapsed_s),
        }

    def _uptime_s(self, elapsed_s: float) -> int:
        return UPTIME_BEFORE_S + int(elapsed_s)
