"""What the simulators share: a device that takes requests, its clock, sessions and faults."""

import json
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Event, Lock

from pydantic import JsonValue, ValidationError

from deploy.lab.simulators.faults import FaultRequest, Faults, Mode

CONTROL_PREFIX = "/_sim/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it came in; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer to send."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a simulated device behaves.

    `session_s`: how long a session lasts without use. `slow_s`: how late answers are under the
    fault `slow`. `login_limit` logins are allowed within `login_window_s` (where the real
    device limits them). `clock` gives seconds, like `time.monotonic`.
    """

    username: str
    password: str = field(repr=False)
    seed: str = "turtle"
    session_s: float = 300.0
    slow_s: float = 10.0
    login_limit: int = 5
    login_window_s: float = 60.0
    clock: Callable[[], float] = time.monotonic


def json_reply(
    value: JsonValue, status: int = 200, headers: tuple[tuple[str, str], ...] = ()
) -> Reply:
    """A reply with a JSON body."""
    body = json.dumps(value, separators=(",", ":")).encode()
    return Reply(status=status, headers=(("Content-Type", "application/json"), *headers), body=body)


class Sessions:
    """Open sessions by id; each use renews one."""

    def __init__(self, lasts_s: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lasts_s = lasts_s
        self._ends_s: dict[str, tuple[float, float]] = {}

    def open(self, lasts_s: float | None = None) -> str:
        """Open a session and return its id; one that lasts 0 seconds never ends."""
        self._forget_ended()
        lasts_s = self._lasts_s if lasts_s is None else lasts_s
        session_id = secrets.token_hex(16)
        self._ends_s[session_id] = (lasts_s, self._end_s(lasts_s))
        return session_id

    def use(self, session_id: str) -> bool:
        """Whether the session is open; renews it."""
        lasts_s, ends_s = self._ends_s.get(session_id, (0.0, 0.0))
        if self._clock() >= ends_s:
            self._ends_s.pop(session_id, None)
            return False
        self._ends_s[session_id] = (lasts_s, self._end_s(lasts_s))
        return True

    def end(self, session_id: str) -> None:
        """End one session."""
        self._ends_s.pop(session_id, None)

    def end_all(self) -> None:
        """End every session."""
        self._ends_s.clear()

    def __contains__(self, session_id: object) -> bool:
        return session_id in self._ends_s

    def __len__(self) -> int:
        return sum(1 for _, ends_s in self._ends_s.values() if self._clock() < ends_s)

    def _forget_ended(self) -> None:
        now = self._clock()
        self._ends_s = {key: ends for key, ends in self._ends_s.items() if now < ends[1]}

    def _end_s(self, lasts_s: float) -> float:
        return float("inf") if lasts_s == 0 else self._clock() + lasts_s


class Device(ABC):
    """A simulated device. Subclasses answer its protocol; faults are laid over their answers."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.faults = Faults(options.clock)
        self.sessions = Sessions(options.session_s, options.clock)
        self.logins = 0
        self.requests = 0
        self.stopping = Event()
        self._started_s = options.clock()
        self._lock = Lock()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the simulator was made."""
        return self.options.clock() - self._started_s

    @property
    def wan_is_up(self) -> bool:
        """Whether the device's internet link works."""
        return self.faults.mode is not Mode.WAN_DOWN

    def reply(self, request: Request, *, is_local: bool) -> Reply:
        """Answer one request; `is_local`: it came from this machine, so it may control."""
        if request.path.startswith(CONTROL_PREFIX):
            return self._control(request) if is_local else json_reply({"error": "local only"}, 403)
        mode = self.faults.mode
        if mode is Mode.SLOW:
            self.stopping.wait(self.options.slow_s)
        if mode is Mode.HTTP_500:
            return Reply(status=500, body=b"Internal Server Error")
        with self._lock:
            self.requests += 1
            reply = self.answer(request)
        return _cut_short(reply) if mode is Mode.BAD_JSON else reply

    @abstractmethod
    def answer(self, request: Request) -> Reply:
        """Answer a request of the device's protocol; called by one thread at a time."""

    def may_log_in(self, username: object, password: object) -> bool:
        """Whether these are the credentials, and logins are accepted now."""
        options = self.options
        known = isinstance(username, str) and isinstance(password, str)
        right = known and (username, password) == (options.username, options.password)
        return right and self.faults.mode is not Mode.REFUSE_LOGIN

    def _control(self, request: Request) -> Reply:
        if (request.method, request.path) == ("GET", "/_sim/state"):
            return json_reply(self._state())
        if (request.method, request.path) != ("POST", "/_sim/errors"):
            return json_reply({"error": "use GET /_sim/state or POST /_sim/errors"}, 404)
        try:
            fault = FaultRequest.model_validate_json(request.body)
        except ValidationError as error:
            wrong = "; ".join(f"{item['loc']}: {item['msg']}" for item in error.errors())
            return json_reply({"error": wrong}, 422)
        self.faults.switch(fault)
        if fault.mode is Mode.LOGOUT:
            self.sessions.end_all()
        return json_reply(self._state())

    def _state(self) -> dict[str, JsonValue]:
        return {
            **self.faults.as_json(),
            "sessions": len(self.sessions),
            "logins": self.logins,
            "requests": self.requests,
            "uptime_s": round(self.elapsed_s, 1),
        }


def _cut_short(reply: Reply) -> Reply:
    half = reply.body[: len(reply.body) // 2]
    return Reply(status=reply.status, headers=reply.headers, body=half)
