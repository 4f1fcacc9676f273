"""What can go wrong with the API and its machine, switched on while it runs."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class Mode(StrEnum):
    """What goes wrong."""

    NONE = "none"
    HTTP_500 = "http_500"  # every answer is a 500
    SLOW = "slow"  # every answer comes late
    BAD_JSON = "bad_json"  # bodies end in the middle
    RATE_LIMITED = "rate_limited"  # every answer is a 429
    REFUSE_TOKEN = "refuse_token"  # noqa: S105 - a mode: no token is accepted
    LIE = "lie"  # the state that is told is not the machine's
    STUCK = "stuck"  # calls are taken and nothing happens
    FAIL_START = "fail_start"  # a machine that is started fails
    SLOW_START = "slow_start"  # a machine takes longer to start, resume, stop, suspend


class FaultRequest(BaseModel):
    """The body of `POST /_sim/errors`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Mode
    seconds: float = Field(60.0, gt=0, le=86_400, description="How long it lasts, seconds")
    delay_s: float = Field(10.0, ge=0, le=600, description="How late slow and slow_start are")
    state: str = Field("", max_length=20, description="What lie tells; empty: the opposite")


@dataclass(frozen=True, slots=True)
class _Active:
    request: FaultRequest
    until_s: float


class FlyFaults:
    """The fault that is on now, if any; a new one replaces the old one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._active = _Active(FaultRequest(mode=Mode.NONE), 0.0)

    def switch(self, request: FaultRequest) -> None:
        """Switch the fault on for its time."""
        self._active = _Active(request, self._clock() + request.seconds)

    def on(self, mode: Mode) -> FaultRequest | None:
        """The fault's request while it is on."""
        active = self._active
        is_on = active.request.mode is mode and self._clock() < active.until_s
        return active.request if is_on else None

    def delay_s(self, mode: Mode) -> float:
        """How late something is under the fault; 0 without it."""
        fault = self.on(mode)
        return fault.delay_s if fault else 0.0

    def as_json(self) -> dict[str, JsonValue]:
        """The fault, and how many seconds it has left."""
        active = self._active
        left_s = max(0.0, active.until_s - self._clock())
        mode = active.request.mode if left_s else Mode.NONE
        return {"mode": str(mode), "seconds_left": round(left_s, 1)}
