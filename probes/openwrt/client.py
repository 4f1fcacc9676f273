"""A session with an OpenWrt router, kept as long as the router keeps it."""

from collections.abc import Callable, Mapping
from threading import Event, Lock

from pydantic import JsonValue

from fleet.policy.errors import BadArgumentsError
from probes.device_http import DeviceHttp
from probes.openwrt import links, rpc, system
from probes.openwrt.links import DeviceState, InterfaceState
from probes.openwrt.rpc import DeniedError, Method, NoAccessError, Session, UbusError
from probes.openwrt.system import CpuTimes, SystemState
from probes.values import Table

BOARD = Method(object="system", name="board")
INFO = Method(object="system", name="info")
DUMP = Method(object="network.interface", name="dump")
STATUS = Method(object="network.device", name="status")
READ = Method(object="file", name="read")

CPU_FILE = "/proc/stat"
TEMPERATURE_FILE = "/sys/class/thermal/thermal_zone0/temp"

INVALID_ARGUMENT = 2

#: Not found, no data, permission denied: the file is not there or not granted.
UNREADABLE = frozenset({4, 5, rpc.PERMISSION_DENIED})


class OpenWrtClient:
    """Reads a router through ubus. One session is kept; the router renews it with each use.

    `password` is called at each login, so that a changed secret is found. Errors: those of
    `DeviceHttp.send` and of `probes.openwrt.rpc`.
    """

    def __init__(self, http: DeviceHttp, username: str, password: Callable[[], str]) -> None:
        self._http = http
        self._username = username
        self._password = password
        self._lock = Lock()
        self._session: Session | None = None

    def system(self, cpu_interval_s: float = 1.0) -> SystemState:
        """The system's state; takes `cpu_interval_s`, over which the CPU is measured."""
        before = self._cpu_times()
        if before is not None:
            Event().wait(cpu_interval_s)
        busy = system.cpu_percent(before, self._cpu_times() if before else None)
        temperature = system.temperature_c(self.read_file(TEMPERATURE_FILE))
        return system.system_state(self._call(BOARD), self._call(INFO), busy, temperature)

    def interfaces(self) -> list[InterfaceState]:
        """The logical interfaces."""
        return links.interfaces(self._call(DUMP))

    def devices(self, name: str | None = None) -> list[DeviceState]:
        """The network devices, or the one of that name (BadArgumentsError if there is none)."""
        if name is None:
            return links.devices(self._call(STATUS))
        try:
            return [links.device(name, self._call(STATUS, {"name": name}))]
        except UbusError as error:
            if error.code != INVALID_ARGUMENT:
                raise
            raise BadArgumentsError(f"the router has no device {name!r}") from None

    def read_file(self, path: str) -> str | None:
        """A file's content, or None where it is missing or the account may not read it."""
        try:
            data = self._call(READ, {"path": path}).get("data")
        except DeniedError:
            return None
        except UbusError as error:
            if error.code not in UNREADABLE:
                raise
            return None
        return data if isinstance(data, str) else None

    def close(self) -> None:
        """Close the connections; the router forgets the session when it is not used."""
        self._http.close()

    def _cpu_times(self) -> CpuTimes | None:
        content = self.read_file(CPU_FILE)
        return None if content is None else system.cpu_times(content)

    def _call(self, method: Method, arguments: Mapping[str, JsonValue] | None = None) -> Table:
        with self._lock:
            session = self._session or self._login()
            if method in session.denied:
                raise self._denied(method)
            try:
                return self._send(session, method, arguments)
            except NoAccessError:
                return self._call_freshly(method, arguments)

    def _call_freshly(self, method: Method, arguments: Mapping[str, JsonValue] | None) -> Table:
        """Expired or denied look the same; with a session just opened it can only be denied."""
        session = self._login()
        try:
            return self._send(session, method, arguments)
        except NoAccessError:
            # Remembered for this session, so that each call of it does not cost a login.
            self._session = session.without(method)
            raise self._denied(method) from None

    def _send(
        self, session: Session, method: Method, arguments: Mapping[str, JsonValue] | None
    ) -> Table:
        answer = self._http.send(rpc.call(session.id, method, arguments or {}))
        return rpc.data_from(answer, method)

    def _login(self) -> Session:
        self._session = None
        answer = self._http.send(rpc.login(self._username, self._password()))
        self._session = rpc.session_from(answer, self._username)
        return self._session

    def _denied(self, method: Method) -> DeniedError:
        return DeniedError(
            f"user {self._username!r} may not call {method} on the router; grant it in a file of "
            "/usr/share/rpcd/acl.d and restart rpcd"
        )
