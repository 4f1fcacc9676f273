"""From a suspicion that lasts to "down", and the memory of sites that come and go.

Damping holds back what comes after the first failover: a site that was down a moment ago and
has a high penalty is confirmed later and taken back later. The first failover is never held
back, however nervous its links were before. The numbers are those of route flap damping.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from fleet.policy.timing import TIMING, Timing
from fleet.policy.verdict import Kind, Verdict

#: Verdicts that say nothing new about an outage: it neither ended nor was it seen again.
SILENT_ON_OUTAGES = frozenset({Kind.UNKNOWN, Kind.SELF_ISOLATED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What one observer remembers of one subject. Moments are seconds of a monotonic clock.

    `kind` has been found without a break since `since_s`. `suspected` and `declared`: an outage
    is under way, and was said to be "down". `penalty` is as of `penalty_at_s`; it halves every
    `penalty_half_life_s`. `suppressed`: the penalty went above the limit and not yet below the
    lower one. `last_down_s` is when a site was last found down while it was declared.
    """

    kind: Kind | None = None
    since_s: float | None = None
    suspected: bool = False
    declared: bool = False
    penalty: float = 0.0
    penalty_at_s: float = 0.0
    suppressed: bool = False
    last_down_s: float | None = None


def advance(
    memory: Memory, verdict: Verdict, now_s: float, timing: Timing = TIMING
) -> tuple[Memory, Verdict]:
    """Take in what the matrix shows at `now_s`; the verdict that counts comes back.

    Call it for every new matrix. The result is "down" once "suspect" has held for
    `confirm_after_s`, and stays so until the site is reached again.
    """
    memory = _released(_noted(memory, verdict.kind, now_s), now_s, timing)
    step = _STEPS.get(verdict.kind, _reached)
    return step(memory, verdict, now_s, timing)


def confirm_after_s(memory: Memory, now_s: float, timing: Timing = TIMING) -> float:
    """How long a suspicion has to hold: twice as long for every `penalty_suppress` of penalty,
    if the site was down lately."""
    if not _down_lately(memory, now_s, timing):
        return timing.confirm_s
    doublings = int(penalty_at(memory, now_s, timing) // timing.penalty_suppress)
    return min(timing.longest_confirm_s, timing.confirm_s * 2.0**doublings)


def may_return(memory: Memory, now_s: float, timing: Timing = TIMING) -> tuple[bool, str]:
    """Whether the site may take work back, and why (not)."""
    if memory.declared:
        return False, "it is still down"
    penalty = penalty_at(memory, now_s, timing)
    if memory.suppressed and penalty >= timing.penalty_reuse:
        return False, (
            f"it came and went too often: penalty {penalty:.0f}, "
            f"back below {timing.penalty_reuse:.0f} in {_until_reuse_s(penalty, timing):.0f} s"
        )
    return True, f"penalty {penalty:.0f}"


def penalise(memory: Memory, points: float, now_s: float, timing: Timing = TIMING) -> Memory:
    """Add to the penalty, for what a recovery did wrong for example.

    The ceiling is the penalty that takes `longest_suppression_s` to decay.
    """
    halvings = timing.longest_suppression_s / timing.penalty_half_life_s
    ceiling = timing.penalty_reuse * math.exp2(halvings)
    penalty = min(penalty_at(memory, now_s, timing) + points, ceiling)
    suppressed = memory.suppressed or penalty >= timing.penalty_suppress
    return replace(memory, penalty=penalty, penalty_at_s=now_s, suppressed=suppressed)


def penalty_at(memory: Memory, now_s: float, timing: Timing = TIMING) -> float:
    """The penalty, decayed until `now_s`."""
    age_s = max(0.0, now_s - memory.penalty_at_s)
    return memory.penalty * math.exp2(-age_s / timing.penalty_half_life_s)


def held_s(memory: Memory, kind: Kind, now_s: float) -> float:
    """For how long the matrix has shown `kind` without a break; 0 if it shows another."""
    if memory.kind is not kind or memory.since_s is None:
        return 0.0
    return max(0.0, now_s - memory.since_s)


def _noted(memory: Memory, kind: Kind, now_s: float) -> Memory:
    return memory if memory.kind is kind else replace(memory, kind=kind, since_s=now_s)


def _released(memory: Memory, now_s: float, timing: Timing) -> Memory:
    if memory.suppressed and penalty_at(memory, now_s, timing) < timing.penalty_reuse:
        return replace(memory, suppressed=False)
    return memory


Step = Callable[[Memory, Verdict, float, Timing], tuple[Memory, Verdict]]


def _suspect(
    memory: Memory, verdict: Verdict, now_s: float, timing: Timing
) -> tuple[Memory, Verdict]:
    memory = replace(memory, suspected=True)
    for_s = held_s(memory, Kind.SUSPECT, now_s)
    if memory.declared and _remembered(memory, now_s, timing):
        return replace(memory, last_down_s=now_s), _down(verdict, for_s)
    memory = replace(memory, declared=False)
    needed_s = confirm_after_s(memory, now_s, timing)
    if for_s < needed_s:
        reason = f"{verdict.reason}; for {for_s:.0f} s, down after {needed_s:.0f} s"
        return memory, replace(verdict, reason=reason)
    memory = penalise(memory, timing.penalty_down, now_s, timing)
    return replace(memory, declared=True, last_down_s=now_s), _down(verdict, for_s)


def _remembered(memory: Memory, now_s: float, timing: Timing) -> bool:
    """Who has heard nobody for long may have missed that the site was back: confirm anew."""
    return memory.last_down_s is not None and now_s - memory.last_down_s <= timing.confirm_s


def _silent(
    memory: Memory, verdict: Verdict, _now_s: float, _timing: Timing
) -> tuple[Memory, Verdict]:
    return memory, verdict


def _reached(
    memory: Memory, verdict: Verdict, now_s: float, timing: Timing
) -> tuple[Memory, Verdict]:
    """The outage, if there was one, is over; it counts once, whatever it was called."""
    if memory.suspected and not memory.declared:
        memory = penalise(memory, timing.penalty_cleared, now_s, timing)
    return replace(memory, suspected=False, declared=False), verdict


#: Every other verdict means that the site was reached, or is away by intention.
_STEPS: dict[Kind, Step] = {Kind.SUSPECT: _suspect} | dict.fromkeys(SILENT_ON_OUTAGES, _silent)


def _down(verdict: Verdict, for_s: float) -> Verdict:
    reason = (
        f"{verdict.reason}; for {for_s:.0f} s: crashed or cut off, from outside nobody can tell"
    )
    return Verdict(verdict.subject, Kind.DOWN, reason)


def _down_lately(memory: Memory, now_s: float, timing: Timing) -> bool:
    """Within the longest time for which a penalty can count."""
    last_s = memory.last_down_s
    return last_s is not None and now_s - last_s <= timing.longest_suppression_s


def _until_reuse_s(penalty: float, timing: Timing) -> float:
    """Seconds until a penalty above the limit has decayed to it."""
    return timing.penalty_half_life_s * math.log2(penalty / timing.penalty_reuse)
