"""How a site that was lost comes back: a table of stages, each with what it waits for.

A step back is always possible and loses nothing; where a recovery is interrupted does not matter,
because every stage is decided from what is observed now.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from fleet.policy.timing import TIMING, Timing

#: Wall clocks of a site that takes work again are closer than this: envelopes carry times.
MAX_CLOCK_OFFSET_S = 1.0
#: Above either of these a site under growing load takes a step back.
MAX_ERROR_SHARE = 0.01
MAX_P95_RATIO = 1.5


class Stage(StrEnum):
    """In the order in which they are passed."""

    CATCH_UP = "catch-up"  # clock, version, epoch, replica, unsent reports, open attempts
    CANARY = "canary"  # only tasks that test the site
    RAMP_25 = "ramp-25"
    RAMP_50 = "ramp-50"
    RAMP_100 = "ramp-100"
    COOL_DOWN = "cool-down"  # the standby is drained and stays warm for a while
    DONE = "done"


ORDER = tuple(Stage)

_SHARES: dict[Stage, float] = {
    Stage.CATCH_UP: 0.0,
    Stage.CANARY: 0.0,
    Stage.RAMP_25: 0.25,
    Stage.RAMP_50: 0.5,
    Stage.RAMP_100: 1.0,
    Stage.COOL_DOWN: 1.0,
    Stage.DONE: 1.0,
}

#: The standby goes on until the site has carried everything for one step.
NEEDS_STANDBY = frozenset(ORDER[: ORDER.index(Stage.COOL_DOWN)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """The stage and since when, on the deciding site's monotonic clock in seconds."""

    stage: Stage = Stage.CATCH_UP
    since_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is observed of the returning site.

    `replica_ok_for_s`: its Redis follows without lag for so long; None when it does not.
    `unsent_entries`: journal entries not acknowledged; `open_attempts_unresolved`: attempts of
    which nobody has decided yet whether they go on. Canaries are those of this stage.
    `error_share` is between 0 and 1, `p95_ratio` relative to the time before the loss.
    `may_return`: damping has not suppressed the site.
    """

    clock_offset_s: float
    version_ok: bool
    epoch_ok: bool
    replica_ok_for_s: float | None
    unsent_entries: int
    open_attempts_unresolved: int
    canaries_done: int
    canaries_failed: int
    error_share: float
    p95_ratio: float
    may_return: bool


def share(stage: Stage) -> float:
    """The part of its slots that the site may fill with ordinary work, 0 to 1."""
    return _SHARES[stage]


def advance(
    recovery: Recovery, facts: Facts, now_s: float, timing: Timing = TIMING
) -> tuple[Recovery, str]:
    """One decision: a step on, a step back, or what it waits for."""
    if recovery.stage is Stage.DONE:
        return recovery, "recovered"
    unfit = _unfit(facts)
    if unfit:
        return _back_to(Stage.CATCH_UP, recovery, now_s), unfit
    return _DECIDE[recovery.stage](recovery, facts, now_s, timing)


def stepped_back(before: Recovery, after: Recovery) -> bool:
    """Whether the site lost ground: damping counts it."""
    return ORDER.index(after.stage) < ORDER.index(before.stage)


def _unfit(facts: Facts) -> str:
    """What sends a site back to the start from any stage, or keeps it there; "" when fit."""
    if not abs(facts.clock_offset_s) < MAX_CLOCK_OFFSET_S:
        return f"its clock is off by {facts.clock_offset_s:+.1f} s; set the time"
    if not facts.version_ok:
        return "its version does not fit; install the fleet's version"
    return ""


def _catch_up(
    recovery: Recovery, facts: Facts, now_s: float, timing: Timing
) -> tuple[Recovery, str]:
    missing = _missing(facts, timing)
    if missing:
        return recovery, missing
    return _on(recovery, now_s), "caught up; canaries next"


def _missing(facts: Facts, timing: Timing) -> str:
    """What the site has to catch up with. The epoch counts here only: it goes on rising, and the
    news of it takes a moment."""
    if not facts.epoch_ok:
        return "it has not yet taken over the fleet's epoch"
    if facts.replica_ok_for_s is None:
        return "its Redis does not follow the master yet"
    if facts.replica_ok_for_s < timing.catch_up_steady_s:
        return f"its Redis has followed for {facts.replica_ok_for_s:.0f} s only"
    if facts.unsent_entries:
        return f"{facts.unsent_entries} journal entries are not reported yet"
    if facts.open_attempts_unresolved:
        return f"{facts.open_attempts_unresolved} open attempts are not resolved yet"
    return "" if facts.may_return else "it was lost too often lately; damping holds it back"


def _canary(recovery: Recovery, facts: Facts, now_s: float, timing: Timing) -> tuple[Recovery, str]:
    if facts.canaries_failed:
        back = _back_to(Stage.CATCH_UP, recovery, now_s)
        return back, f"{facts.canaries_failed} canaries failed"
    if facts.canaries_done < timing.canary_runs:
        return recovery, f"{facts.canaries_done} of {timing.canary_runs} canaries done"
    return _on(recovery, now_s), "all canaries passed; a quarter of the work next"


def _ramp(recovery: Recovery, facts: Facts, now_s: float, timing: Timing) -> tuple[Recovery, str]:
    strained = _strained(facts)
    if strained:
        before = ORDER[ORDER.index(recovery.stage) - 1]
        return _back_to(before, recovery, now_s), strained
    if not facts.may_return:
        return recovery, "it was lost too often lately; damping holds it back"
    left_s = recovery.since_s + _wait_s(recovery.stage, timing) - now_s
    if left_s > 0:
        return recovery, f"steady; next step in {left_s:.0f} s"
    return _on(recovery, now_s), "steady; next step"


def _strained(facts: Facts) -> str:
    if not facts.error_share <= MAX_ERROR_SHARE:
        return f"{facts.error_share:.1%} of its tasks fail; one step back"
    if not facts.p95_ratio <= MAX_P95_RATIO:
        return f"its tasks take {facts.p95_ratio:.1f} times as long as before; one step back"
    return ""


def _wait_s(stage: Stage, timing: Timing) -> float:
    return timing.cool_down_s if stage is Stage.COOL_DOWN else timing.ramp_step_s


def _on(recovery: Recovery, now_s: float) -> Recovery:
    return Recovery(stage=ORDER[ORDER.index(recovery.stage) + 1], since_s=now_s)


def _back_to(stage: Stage, recovery: Recovery, now_s: float) -> Recovery:
    """A recovery that is already there goes on waiting: its clock does not start again."""
    return recovery if recovery.stage is stage else Recovery(stage=stage, since_s=now_s)


_Decide = Callable[[Recovery, Facts, float, Timing], tuple[Recovery, str]]
_DECIDE: Mapping[Stage, _Decide] = {
    Stage.CATCH_UP: _catch_up,
    Stage.CANARY: _canary,
    Stage.RAMP_25: _ramp,
    Stage.RAMP_50: _ramp,
    Stage.RAMP_100: _ramp,
    Stage.COOL_DOWN: _ramp,
}
