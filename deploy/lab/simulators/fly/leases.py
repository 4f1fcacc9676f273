"""The lease of a machine: one client at a time may change it."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from deploy.lab.simulators.fly.refusal import Refusal

OWNER = "lab@example.org"


class LeaseRequest(BaseModel):
    """The body of `POST …/lease`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    ttl: int = Field(30, ge=1, le=86_400)
    description: str = Field("", max_length=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    nonce: str
    expires_at_s: float
    description: str


class MachineLeases:
    """The lease of one machine; `clock` in seconds since 1970, as it is told to clients."""

    def __init__(self, machine_id: str, clock: Callable[[], float] = time.time) -> None:
        self._machine_id = machine_id
        self._clock = clock
        self._lock = Lock()
        self._held: _Held | None = None

    def check(self, nonce: str) -> None:
        """Raise a 409 when somebody else has the lease."""
        held = self._live()
        if held is not None and held.nonce != nonce:
            raise Refusal(
                409,
                f"machine ID {self._machine_id} lease currently held by {OWNER}, "
                f"expires at {held.expires_at_s:.0f}",
            )

    def take(self, request: LeaseRequest, nonce: str) -> JsonValue:
        """Take the lease, or renew it with its nonce."""
        with self._lock:
            self.check(nonce)
            self._held = _Held(
                nonce=nonce if self._live() else secrets.token_hex(6),
                expires_at_s=self._clock() + request.ttl,
                description=request.description,
            )
            return self._told(self._held)

    def look(self) -> JsonValue:
        """The lease in force; a 404 without one."""
        held = self._live()
        if held is None:
            raise Refusal(404, "lease not found")
        return self._told(held)

    def release(self, nonce: str) -> JsonValue:
        """Give it back; only its holder can."""
        with self._lock:
            self.check(nonce)
            self._held = None
        return {"status": "success", "data": {"ok": True}}

    def _live(self) -> _Held | None:
        held = self._held
        return held if held is not None and self._clock() < held.expires_at_s else None

    @staticmethod
    def _told(held: _Held) -> JsonValue:
        return {
            "status": "success",
            "data": {
                "nonce": held.nonce,
                "expires_at": int(held.expires_at_s),
                "owner": OWNER,
                "description": held.description,
            },
        }
