"""The Machines API over HTTP: one call at a time, in its turn, tried again while that can help."""

import math
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from fleet.control.machines import decode
from fleet.control.machines.errors import (
    MachinesAwayError,
    PassingError,
    StateNotReachedError,
    refusal,
)
from fleet.control.machines.pace import ACTION, LOOK, Limit, Pacer
from fleet.control.machines.protocol import MachineInfo, MachineLease
from tasks.settings import read_secret

NONCE_HEADER = "fly-machine-lease-nonce"
TIMEOUT_S = 5.0
#: A call is tried again for this long; the control loop has other work, too.
TRY_FOR_S = 20.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0
#: What the API accepts as a time to wait for a state, seconds.
SHORTEST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0


class FlyMachines:
    """`fleet.control.machines.protocol.Machines` of one app of fly.io, or of the lab.

    The token's file is read at each call, so a new token needs no restart. `stop`, once set,
    ends all waiting. Calls that changed nothing yet are safe to repeat, and so are the others:
    a machine that is started already stays so.
    """

    def __init__(
        self,
        url: str,
        app: str,
        token_file: Path,
        *,
        stop: threading.Event | None = None,
        timeout_s: float = TIMEOUT_S,
        try_for_s: float = TRY_FOR_S,
        pacer: Pacer | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._token_file = token_file
        self._stop = stop or threading.Event()
        self._timeout_s = timeout_s
        self._try_for_s = try_for_s
        self._clock = clock
        self._pacer = pacer or Pacer(pause=self._stop.wait)
        self._http = httpx.Client(
            base_url=f"{url.rstrip('/')}/v1/apps/{app}",
            timeout=timeout_s,
            trust_env=False,
            follow_redirects=False,
            headers={"Accept": "application/json"},
        )

    def list(self) -> tuple[MachineInfo, ...]:
        """Every machine of the app."""
        return decode.machines(self._call("GET", "/machines", "list", self._app))

    def get(self, machine_id: str) -> MachineInfo:
        """One machine."""
        answer = self._call("GET", f"/machines/{machine_id}", "get", machine_id, limit=LOOK)
        return decode.machine(answer)

    def start(self, machine_id: str, *, nonce: str = "") -> str:
        """Start or resume it; returns the state that it had before."""
        return decode.previous_state(self._act(machine_id, "start", nonce))

    def stop(self, machine_id: str, *, nonce: str = "") -> None:
        """Stop it with TERM."""
        self._act(machine_id, "stop", nonce, {"signal": "SIGTERM"})

    def suspend(self, machine_id: str, *, nonce: str = "") -> None:
        """Freeze it with its memory."""
        self._act(machine_id, "suspend", nonce)

    def wait(
        self, machine_id: str, state: str, *, timeout_s: float = 60.0, instance_id: str = ""
    ) -> None:
        """Return when the machine is in `state`; StateNotReachedError after `timeout_s`."""
        if not SHORTEST_WAIT_S <= timeout_s <= LONGEST_WAIT_S:
            raise ValueError(f"timeout_s must be from {SHORTEST_WAIT_S:g} to {LONGEST_WAIT_S:g}")
        query = {"state": state, "timeout": str(math.ceil(timeout_s))}
        if instance_id:
            query["instance_id"] = instance_id
        path = f"/machines/{machine_id}/wait"
        try:
            self._call("GET", path, "wait", machine_id, params=query, patience_s=timeout_s)
        except MachinesAwayError as error:
            raise StateNotReachedError(str(error)) from error

    def lease(
        self, machine_id: str, *, ttl_s: int, description: str = "", nonce: str = ""
    ) -> MachineLease:
        """Take the lease, or renew the one that `nonce` stands for."""
        body = {"ttl": ttl_s, "description": description}
        return decode.lease(self._act(machine_id, "lease", nonce, body))

    def release(self, machine_id: str, nonce: str) -> None:
        """Give the lease back."""
        path = f"/machines/{machine_id}/lease"
        self._call("DELETE", path, "release", machine_id, headers={NONCE_HEADER: nonce})

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _act(self, machine_id: str, action: str, nonce: str, body: Any = None) -> Any:
        headers = {NONCE_HEADER: nonce} if nonce else {}
        path = f"/machines/{machine_id}/{action}"
        return self._call("POST", path, action, machine_id, headers=headers, json=body)

    def _call(
        self,
        method: str,
        path: str,
        action: str,
        subject: str,
        *,
        limit: Limit = ACTION,
        patience_s: float = 0.0,
        **request: Any,
    ) -> Any:
        """The JSON of the answer; `patience_s`: how long the API may take beyond the usual."""
        end_s = self._clock() + self._try_for_s + patience_s
        request["timeout"] = self._timeout_s + patience_s
        pause_s = FIRST_PAUSE_S
        while True:
            self._pacer.wait_turn(action, subject, limit)
            try:
                return self._once(method, path, f"{action} of {subject}", request)
            except PassingError as error:
                jitter = random.uniform(0.5, 1.0)  # noqa: S311 - no secret
                delay_s = max(pause_s * jitter, error.asked_pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                if self._clock() + delay_s >= end_s or self._stop.wait(delay_s):
                    raise

    def _once(self, method: str, path: str, what: str, request: dict[str, Any]) -> Any:
        token = read_secret(self._token_file)
        headers = {**request.get("headers", {}), "Authorization": f"Bearer {token}"}
        try:
            answer = self._http.request(method, path, **{**request, "headers": headers})
        except httpx.HTTPError as error:
            raise MachinesAwayError(f"{what}: {type(error).__name__}: {error}") from error
        if answer.is_success:
            return decode.json_of(answer.content)
        asked = answer.headers.get("retry-after", "")
        raise refusal(what, answer.status_code, decode.reason(answer), asked)
