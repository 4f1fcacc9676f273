"""The calls of the Machines API, from a request to its answer."""

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, JsonValue, ValidationError

from deploy.lab.simulators.device import Reply, Request, json_reply
from deploy.lab.simulators.fly.faults import FaultRequest, FlyFaults, Mode
from deploy.lab.simulators.fly.leases import LeaseRequest, MachineLeases
from deploy.lab.simulators.fly.limits import Buckets
from deploy.lab.simulators.fly.machine import STARTED, STOPPED, SUSPENDED, Machine
from deploy.lab.simulators.fly.refusal import Refusal

M = TypeVar("M", bound=BaseModel)
CONTROL_PREFIX = "/_sim/"
NONCE = "fly-machine-lease-nonce"
STATES_TO_WAIT_FOR = (STARTED, STOPPED, SUSPENDED, "destroyed")
_PATH = re.compile(
    r"/v1/apps/(?P<app>[^/]+)/machines(?:/(?P<machine>[^/]+)(?:/(?P<action>[a-z]+))?)?"
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request for the machine: its query and headers as plain text."""

    query: Mapping[str, str]
    nonce: str
    body: bytes


class MachinesApi:
    """One app with one machine, behind a token."""

    def __init__(
        self, machine: Machine, token: str, faults: FlyFaults, buckets: Buckets | None = None
    ) -> None:
        self.machine = machine
        self.faults = faults
        self.stopping = Event()
        self.requests = 0
        self._token = token
        self._buckets = buckets or Buckets()
        self._leases = MachineLeases(machine.shape.id)
        self._actions: Mapping[tuple[str, str], Callable[[_Asked], JsonValue]] = {
            ("GET", "get"): lambda _: self._told(),
            ("POST", "start"): self._start,
            ("POST", "stop"): lambda asked: self._change(asked, self.machine.stop),
            ("POST", "suspend"): lambda asked: self._change(asked, self.machine.suspend),
            ("GET", "wait"): self._wait,
            ("POST", "lease"): self._lease,
            ("GET", "lease"): lambda _: self._leases.look(),
            ("DELETE", "lease"): lambda asked: self._leases.release(asked.nonce),
        }

    def reply(self, request: Request, *, is_local: bool) -> Reply:
        """Answer one request; `is_local`: it came from this machine, so it may control."""
        if request.path.startswith(CONTROL_PREFIX):
            return self._control(request) if is_local else json_reply({"error": "local only"}, 403)
        self.requests += 1
        self.stopping.wait(self.faults.delay_s(Mode.SLOW))
        if self.faults.on(Mode.HTTP_500):
            return Reply(status=500, body=b"Internal Server Error")
        try:
            reply = self._answer(request)
        except Refusal as refusal:
            reply = json_reply({"error": refusal.reason}, refusal.status)
        if self.faults.on(Mode.BAD_JSON):
            half = reply.body[: len(reply.body) // 2]
            return Reply(status=reply.status, headers=reply.headers, body=half)
        return reply

    def _answer(self, request: Request) -> Reply:
        self._authenticate(request.headers.get("authorization", ""))
        target = urlsplit(request.path)
        found = _PATH.fullmatch(target.path)
        if found is None:
            raise Refusal(404, "page not found")
        if found["app"] != self.machine.shape.app:
            raise Refusal(404, f"app '{found['app']}' not found")
        action = _action(found)
        subject = found["machine"] or found["app"]
        kind = f"{request.method} {action}" if action == "lease" else action
        if self.faults.on(Mode.RATE_LIMITED) or not self._buckets.take(kind, subject):
            raise Refusal(429, "rate limit exceeded")
        if (request.method, action) == ("GET", "list"):
            return json_reply([self._told()])
        if found["machine"] != self.machine.shape.id:
            raise Refusal(404, f"machine '{subject}' not found")
        act = self._actions.get((request.method, action))
        if act is None:
            raise Refusal(405, "method not allowed")
        query = {key: values[0] for key, values in parse_qs(target.query).items()}
        asked = _Asked(query, request.headers.get(NONCE, ""), request.body)
        created = (request.method, action) == ("POST", "lease")
        return json_reply(act(asked), 201 if created else 200)

    def _authenticate(self, given: str) -> None:
        expected = f"Bearer {self._token}"
        if self.faults.on(Mode.REFUSE_TOKEN) or not hmac.compare_digest(
            given.encode(), expected.encode()
        ):
            raise Refusal(401, "Authenticate: token validation error")

    def _told(self) -> dict[str, JsonValue]:
        return {**self.machine.as_json(), "state": self._told_state()}

    def _told_state(self) -> str:
        lie = self.faults.on(Mode.LIE)
        if lie is None:
            return self.machine.state
        return lie.state or (STOPPED if self.machine.state == STARTED else STARTED)

    def _start(self, asked: _Asked) -> JsonValue:
        self._leases.check(asked.nonce)
        return {"previous_state": self.machine.start(), "migrated": False, "new_host": ""}

    def _change(self, asked: _Asked, change: Callable[[], object]) -> JsonValue:
        self._leases.check(asked.nonce)
        change()
        return {"ok": True}

    def _lease(self, asked: _Asked) -> JsonValue:
        return self._leases.take(_parsed(LeaseRequest, asked.body or b"{}"), asked.nonce)

    def _wait(self, asked: _Asked) -> JsonValue:
        state, instance = asked.query.get("state", STARTED), asked.query.get("instance_id", "")
        if state not in STATES_TO_WAIT_FOR:
            raise Refusal(400, f"invalid_argument: cannot wait for state {state!r}")
        if state == STOPPED and instance != self.machine.instance_id:
            raise Refusal(400, "invalid_argument: instance_id is required to wait for stopped")
        seconds = asked.query.get("timeout", "60")
        if not seconds.isdigit() or not 1 <= int(seconds) <= 60:
            raise Refusal(400, "invalid_argument: timeout must be in range [1s, 1m0s]")
        lie = self.faults.on(Mode.LIE)
        reached = self._told_state() == state if lie else self.machine.wait(state, int(seconds))
        if not reached:
            now = f"currently {self._told_state()}"
            raise Refusal(408, f"machine failed to reach desired state, {state}, {now}")
        return {"ok": True}

    def _control(self, request: Request) -> Reply:
        if (request.method, request.path) == ("GET", "/_sim/state"):
            return json_reply(self._state())
        if (request.method, request.path) != ("POST", "/_sim/errors"):
            return json_reply({"error": "use GET /_sim/state or POST /_sim/errors"}, 404)
        try:
            self.faults.switch(_parsed(FaultRequest, request.body))
        except Refusal as refusal:
            return json_reply({"error": refusal.reason}, 422)
        return json_reply(self._state())

    def _state(self) -> dict[str, JsonValue]:
        return {
            **self.faults.as_json(),
            "requests": self.requests,
            "state": self.machine.state,
            "pid": self.machine.guest_pid(),
        }


def _action(found: re.Match[str]) -> str:
    if found["machine"] is None:
        return "list"
    return str(found["action"] or "get")


def _parsed(model: type[M], body: bytes) -> M:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        wrong = "; ".join(f"{item['loc']}: {item['msg']}" for item in error.errors())
        raise Refusal(400, f"invalid_argument: {wrong}") from error
