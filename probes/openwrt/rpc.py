"""ubus over JSON-RPC as uhttpd speaks it: the requests, and what the answers mean.

Every JSON-RPC outcome comes with HTTP 200. An error is either a JSON-RPC error (negative code,
from uhttpd) or a ubus status (positive, from the object that was called).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from fleet.policy.errors import Blame, ConfigurationError, FleetError, TheirError
from probes.device_http import Answer, Call
from probes.values import Table, parse_json, table, text, whole

PATH = "/ubus"

#: The id that stands for "no session"; a login must carry it.
NO_SESSION = "0" * 32

PERMISSION_DENIED = 6
OBJECT_NOT_FOUND = -32000


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code tells, who has to act, and whether trying again can help."""

    text: str
    blame: Blame = Blame.THEIRS
    transient: bool = False


MEANINGS: Mapping[int, Meaning] = {
    1: Meaning("invalid command", Blame.OURS),
    2: Meaning("invalid argument", Blame.OURS),
    3: Meaning("no such method"),
    4: Meaning("not found"),
    5: Meaning("no data"),
    6: Meaning("permission denied"),
    7: Meaning("the call took too long on the router", transient=True),
    8: Meaning("not supported"),
    9: Meaning("unknown error", transient=True),
    10: Meaning("the router's daemon cannot be reached", transient=True),
    11: Meaning("the router is out of memory", transient=True),
    12: Meaning("parse error", Blame.OURS),
    13: Meaning("system error", transient=True),
    -32700: Meaning("the request was not understood", Blame.OURS),
    -32600: Meaning("invalid request", Blame.OURS),
    -32601: Meaning("unknown JSON-RPC method", Blame.OURS),
    -32602: Meaning("invalid parameters", Blame.OURS),
    # The same code while the daemon behind the object restarts, as for an object never there.
    OBJECT_NOT_FOUND: Meaning("no such object, or its daemon is down", transient=True),
    -32003: Meaning("the call took too long on the router", transient=True),
}

#: The session is unknown or has expired, or the account may not make the call: uhttpd does not
#: tell which. -32001 is what its source has for an unknown session.
NO_ACCESS = frozenset({-32001, -32002})


class UbusError(FleetError):
    """The router refused a call; `code` is the ubus status or JSON-RPC error code."""

    def __init__(self, what: str, code: int) -> None:
        meaning = MEANINGS.get(code, Meaning("unknown error"))
        super().__init__(
            f"{what}: {meaning.text} (code {code})",
            blame=meaning.blame,
            transient=meaning.transient,
        )
        self.code = code


class NoAccessError(TheirError):
    """No session, or no right to the call; a new login tells which."""

    transient = True


class DeniedError(TheirError):
    """The account may not make this call, with a fresh session either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method of a ubus object."""

    object: str
    name: str

    def __str__(self) -> str:
        return f"{self.object} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """An open session; `denied` are the calls that it was seen to have no right to."""

    id: str = field(repr=False)
    denied: frozenset[Method] = frozenset()

    def without(self, method: Method) -> "Session":
        """The session that is known not to have a right to `method`."""
        return Session(id=self.id, denied=self.denied | {method})


LOGIN = Method(object="session", name="login")


def call(session_id: str, method: Method, arguments: Mapping[str, JsonValue]) -> Call:
    """A call of `method`."""
    params: list[JsonValue] = [session_id, method.object, method.name, dict(arguments)]
    body: JsonValue = {"jsonrpc": "2.0", "id": 1, "method": "call", "params": params}
    return Call(method="POST", path=PATH, body=body)


def login(username: str, password: str) -> Call:
    """A login; how long the session lasts unused is left to the router's configuration."""
    return call(NO_SESSION, LOGIN, {"username": username, "password": password})


def session_from(answer: Answer, username: str) -> Session:
    """The session that a login's answer opens; ConfigurationError for refused credentials."""
    try:
        data = data_from(answer, LOGIN)
    except UbusError as error:
        if error.code != PERMISSION_DENIED:
            raise
        raise ConfigurationError(
            f"the router refuses user {username!r} or its password; check username and "
            "password_file in [openwrt] of turtle.toml, and `config login` in /etc/config/rpcd"
        ) from None
    session_id = text(data.get("ubus_rpc_session"))
    if session_id is None:
        raise TheirError("the router accepted the login but gave no session")
    return Session(id=session_id)


def data_from(answer: Answer, method: Method) -> Table:
    """What a call of `method` returned; a success without data is an empty table.

    Raises NoAccessError, UbusError, or TheirError for what is no answer of ubus.
    """
    body = _json_rpc(answer)
    error_code = whole(table(body.get("error")).get("code"))
    if error_code in NO_ACCESS:
        raise NoAccessError(f"{method}: the router gave no access")
    if error_code is not None:
        raise UbusError(str(method), error_code)
    return _result(body.get("result"), method)


def _result(result: object, method: Method) -> Table:
    status = whole(result[0]) if isinstance(result, list) and result else None
    if not isinstance(result, list) or status is None:
        raise TheirError(f"{method}: the router's answer holds no result", transient=True)
    if status != 0:
        raise UbusError(str(method), status)
    return table(result[1]) if len(result) > 1 else {}


def _json_rpc(answer: Answer) -> Table:
    if answer.status != 200:
        raise _http_error(answer.status)
    try:
        body = table(parse_json(answer.body))
    except ValueError:
        raise TheirError("the router's answer is no JSON", transient=True) from None
    if body.get("jsonrpc") != "2.0":
        raise TheirError("the router's answer is no JSON-RPC 2.0; check url in [openwrt]")
    return body


def _http_error(status: int) -> FleetError:
    if status == 404:
        return TheirError(
            f"no ubus at {PATH} of this address; check url in [openwrt] of turtle.toml, and that "
            "the router has the package uhttpd-mod-ubus"
        )
    return TheirError(f"the router answers HTTP {status}", transient=status >= 500 or status == 429)
