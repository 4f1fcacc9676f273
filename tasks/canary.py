"""Tasks to try a fleet out: answers, failures, waiting, and effects that can be counted."""

import math
import threading
import time

from pydantic import JsonValue

from fleet.policy.effects import EffectClass
from fleet.policy.errors import BadArgumentsError, NetworkError, TheirError
from tasks.base import fleet_task
from tasks.context import current_run
from tasks.devwork.effects import EffectSink, Stamp
from tasks.settings import settings

LONGEST_S = 600.0
MAX_KEY_CHARACTERS = 200
#: Enough for tests that lose many workers; class D is never started twice anyway.
ATTEMPTS = 10


@fleet_task(capability="dev", effect=EffectClass.A, time_limit_s=60, soft_time_limit_s=50)
def echo(value: JsonValue) -> JsonValue:
    """Return the value that was given."""
    return value


@fleet_task(capability="dev", effect=EffectClass.A, time_limit_s=60, soft_time_limit_s=50)
def fail(message: str, transient: bool = False) -> None:
    """Fail with the message; a transient failure is tried again."""
    if transient:
        raise NetworkError(message)
    raise TheirError(message)


@fleet_task(capability="dev", effect=EffectClass.A, time_limit_s=660, soft_time_limit_s=630)
def wait(seconds: float) -> dict[str, JsonValue]:
    """Wait for some seconds, at most 600, and return how long it was."""
    started = time.monotonic()
    _wait(seconds, "seconds")
    return {"waited_s": round(time.monotonic() - started, 3)}


@fleet_task(
    capability="dev",
    effect=EffectClass.A,
    max_attempts=ATTEMPTS,
    time_limit_s=660,
    soft_time_limit_s=630,
)
def effect_a(key: str, sleep_s: float = 0) -> dict[str, JsonValue]:
    """Write an effect that may be written again.

    Between its start and its effect it waits for `sleep_s` seconds, as the others do. All lines
    go to `effects.jsonl` in the state folder of the box.
    """
    return _take_effect(EffectClass.A, key, sleep_s)


@fleet_task(
    capability="dev",
    effect=EffectClass.B,
    max_attempts=ATTEMPTS,
    time_limit_s=660,
    soft_time_limit_s=630,
)
def effect_b(key: str, sleep_s: float = 0) -> dict[str, JsonValue]:
    """Write an effect once for each key; `written` is false when it was there."""
    return _take_effect(EffectClass.B, key, sleep_s)


@fleet_task(
    capability="dev",
    effect=EffectClass.C,
    max_attempts=ATTEMPTS,
    time_limit_s=660,
    soft_time_limit_s=630,
)
def effect_c(key: str, sleep_s: float = 0) -> dict[str, JsonValue]:
    """Write an effect if this attempt's token is newer than all that wrote this key."""
    return _take_effect(EffectClass.C, key, sleep_s)


@fleet_task(
    capability="dev",
    effect=EffectClass.D,
    max_attempts=ATTEMPTS,
    time_limit_s=660,
    soft_time_limit_s=630,
)
def effect_d(key: str, sleep_s: float = 0) -> dict[str, JsonValue]:
    """Write an effect that nothing protects from a second start."""
    return _take_effect(EffectClass.D, key, sleep_s)


def _take_effect(effect: EffectClass, key: str, sleep_s: float) -> dict[str, JsonValue]:
    if not isinstance(key, str) or not 1 <= len(key) <= MAX_KEY_CHARACTERS:
        raise BadArgumentsError(f"key must be a text of 1 to {MAX_KEY_CHARACTERS} characters")
    run = current_run()
    stamp = Stamp(
        key=key, effect=effect, run_id=run.run_id if run else "", token=run.token if run else 0
    )
    sink = EffectSink(settings().state_dir)
    sink.start(stamp)
    _wait(sleep_s, "sleep_s")
    return {"key": key, "token": stamp.token, "written": sink.effect(stamp)}


def _wait(seconds: float, what: str) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise BadArgumentsError(f"{what} must be a number of seconds")
    if not (math.isfinite(seconds) and 0 <= seconds <= LONGEST_S):
        raise BadArgumentsError(f"{what} must be between 0 and {LONGEST_S:.0f}")
    threading.Event().wait(seconds)
