"""A simulated OpenWrt router: ubus over JSON-RPC, with the error codes of uhttpd and rpcd.

Run it: `python -m deploy.lab.simulators.openwrt --port 8080 --username U --password-file F`.
The account has the least rights that monitoring needs. There is no limit of logins: the real
stack has none.
"""

import json
import posixpath
import time
from collections.abc import Callable
from fnmatch import fnmatchcase

from pydantic import JsonValue

from deploy.lab.simulators.device import Device, Options, Reply, Request, json_reply
from deploy.lab.simulators.openwrt_numbers import OpenWrtNumbers, Table
from deploy.lab.simulators.server import main

NO_SESSION = "0" * 32
LARGEST_BODY_BYTES = 65_536

#: Objects and methods that exist; what the account may call of them is in GRANTED.
METHODS = {
    "session": ("login", "access", "destroy", "list"),
    "system": ("board", "info", "reboot"),
    "network": ("restart", "reload"),
    "network.interface": ("dump", "status"),
    "network.interface.lan": ("status", "up", "down"),
    "network.interface.wan": ("status", "up", "down"),
    "network.device": ("status",),
    "luci-rpc": ("getHostHints", "getNetworkDevices", "getDHCPLeases"),
    "rpc-sys": ("packagelist",),
    "service": ("list",),
    "file": ("read", "write", "exec", "list"),
    "uci": ("get", "set"),
}
GRANTED = frozenset(
    {
        ("system", "board"),
        ("system", "info"),
        ("network.interface", "dump"),
        ("network.device", "status"),
        ("file", "read"),
    }
)
GRANTED_FILES = ("/proc/stat", "/proc/loadavg", "/sys/class/thermal/thermal_zone*/temp")

PARSE_ERROR = (-32700, "Parse error")
UNKNOWN_METHOD = (-32601, "Method not found")
INVALID_PARAMETERS = (-32602, "Invalid parameters")
NO_OBJECT = (-32000, "Object not found")
ACCESS_DENIED = (-32002, "Access denied")


class RpcError(Exception):
    """An error of the JSON-RPC layer."""

    def __init__(self, code: tuple[int, str]) -> None:
        super().__init__(code[1])
        self.code, self.message = code


class OpenWrtRouter(Device):
    """The router; see the module."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._numbers = OpenWrtNumbers(options.seed)

    def answer(self, request: Request) -> Reply:
        """Answer one request; whatever JSON-RPC has to say comes with HTTP 200."""
        if request.path != "/ubus":
            return Reply(status=404, body=b"Not Found")
        if request.method != "POST":
            return Reply(status=405, body=b"Method Not Allowed")
        body = _parsed(request.body)
        if isinstance(body, list):
            return json_reply([self._outcome(item) for item in body])
        return json_reply(self._outcome(body))

    def _outcome(self, body: JsonValue) -> Table:
        request = body if isinstance(body, dict) else {}
        head: Table = {"jsonrpc": "2.0", "id": request.get("id")}
        try:
            return {**head, "result": self._result(request)}
        except RpcError as error:
            return {**head, "error": {"code": error.code, "message": error.message}}

    def _result(self, request: Table) -> JsonValue:
        method, params = request.get("method"), request.get("params")
        if request.get("jsonrpc") != "2.0" or not isinstance(method, str):
            raise RpcError(PARSE_ERROR)
        if method == "list":
            return list(METHODS)
        if method != "call":
            raise RpcError(UNKNOWN_METHOD)
        if not isinstance(params, list) or len(params) < 4:
            raise RpcError(PARSE_ERROR)
        session_id, name, function, arguments = params[:4]
        words = (session_id, name, function)
        if not all(isinstance(w, str) for w in words) or not isinstance(arguments, dict):
            raise RpcError(PARSE_ERROR)
        return self._call(str(session_id), str(name), str(function), arguments)

    def _call(self, session_id: str, name: str, function: str, arguments: Table) -> JsonValue:
        if "ubus_rpc_session" in arguments:
            raise RpcError(INVALID_PARAMETERS)
        # The object is looked up before anybody asks for the session.
        if name not in METHODS:
            raise RpcError(NO_OBJECT)
        if (name, function) == ("session", "login") and session_id == NO_SESSION:
            return self._login(arguments)
        if not self.sessions.use(session_id) or (name, function) not in GRANTED:
            raise RpcError(ACCESS_DENIED)
        if name == "file":
            return self._read(arguments.get("path"))
        if name == "network.device":
            return self._device_status(arguments.get("name"))
        return [0, self._system(name, function)]

    def _login(self, arguments: Table) -> JsonValue:
        username, password = arguments.get("username"), arguments.get("password")
        if not isinstance(username, str) or not isinstance(password, str):
            return [2]
        if not self.may_log_in(username, password):
            return [6]
        self.logins += 1
        wish_s = arguments.get("timeout")
        lasts_s = wish_s if isinstance(wish_s, int) else self.options.session_s
        return [
            0,
            {
                "ubus_rpc_session": self.sessions.open(lasts_s),
                "timeout": int(lasts_s),
                "expires": max(0, int(lasts_s)),
                "acls": {"ubus": _grants(), "file": {path: ["read"] for path in GRANTED_FILES}},
                "data": {"username": username},
            },
        ]

    def _system(self, name: str, function: str) -> Table:
        if name == "network.interface":
            return self._numbers.interfaces(self.elapsed_s, self.wan_is_up)
        if function == "info":
            return self._numbers.info(self.elapsed_s, int(time.time()))
        return self._numbers.board()

    def _device_status(self, name: JsonValue) -> JsonValue:
        devices = self._numbers.devices(self.elapsed_s, self.wan_is_up)
        # An argument of another type counts as none.
        if not isinstance(name, str):
            return [0, dict(devices)]
        return [0, devices[name]] if name in devices else [2]

    def _read(self, path: JsonValue) -> JsonValue:
        if not isinstance(path, str):
            return [2]
        plain = posixpath.normpath(path)
        if not any(fnmatchcase(plain, granted) for granted in GRANTED_FILES):
            return [6]
        content = self._files().get(plain)
        return [4] if content is None else [0, {"data": content(self.elapsed_s)}]

    def _files(self) -> dict[str, Callable[[float], str]]:
        return {
            "/proc/stat": self._numbers.proc_stat,
            "/proc/loadavg": self._numbers.proc_loadavg,
            "/sys/class/thermal/thermal_zone0/temp": self._numbers.temperature,
        }


def _grants() -> Table:
    objects = sorted({name for name, _ in GRANTED})
    return {name: [what for owner, what in sorted(GRANTED) if owner == name] for name in objects}


def _parsed(body: bytes) -> JsonValue:
    if len(body) > LARGEST_BODY_BYTES:
        return None
    try:
        # As with the real parser, what follows the first value does not matter.
        value: JsonValue = json.JSONDecoder().raw_decode(body.decode().lstrip())[0]
    except (ValueError, RecursionError):
        return None
    return value


if __name__ == "__main__":
    main("OpenWrt", OpenWrtRouter)
