"""Faults that can be switched on while a simulator runs."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class Mode(StrEnum):
    """What goes wrong."""

    NONE = "none"
    HTTP_500 = "http_500"  # every answer is a 500
    SLOW = "slow"  # every answer comes late
    LOGOUT = "logout"  # all sessions end, once, when it is switched on
    BAD_JSON = "bad_json"  # bodies end in the middle
    WAN_DOWN = "wan_down"  # the device works, its internet link does not
    REFUSE_LOGIN = "refuse_login"  # no login is accepted; open sessions go on


class FaultRequest(BaseModel):
    """The body of `POST /_sim/errors`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Mode
    seconds: float = Field(60.0, gt=0, le=86_400, description="How long it lasts, seconds")


@dataclass(frozen=True, slots=True)
class _Active:
    mode: Mode
    until_s: float


class Faults:
    """The fault that is on now, if any; a new one replaces the old one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._active = _Active(Mode.NONE, 0.0)

    def switch(self, request: FaultRequest) -> None:
        """Switch the fault on for its time."""
        with self._lock:
            self._active = _Active(request.mode, self._clock() + request.seconds)

    @property
    def mode(self) -> Mode:
        """The fault that is on now."""
        active = self._active
        return active.mode if self._clock() < active.until_s else Mode.NONE

    def as_json(self) -> dict[str, JsonValue]:
        """The fault, and how many seconds it has left."""
        active, mode = self._active, self.mode
        left_s = 0.0 if mode is Mode.NONE else max(0.0, active.until_s - self._clock())
        return {"mode": str(mode), "seconds_left": round(left_s, 1)}
