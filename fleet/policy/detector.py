"""Is the other end of a link silent for too long? A phi accrual detector.

phi is -log10 of the chance that a beat still comes after the silence so far: 3 means that one
silence of a thousand lasts this long, 12 one of a million million. The normal distribution is
taken in its logistic approximation, as in Akka's detector (Hayashibara et al., 2004).

The caller drains its socket before it judges: beats that lie unread are no silence.
"""

import math
from dataclasses import dataclass, replace

from fleet.policy.timing import TIMING, Timing

#: Above this, more silence says nothing more; it keeps the number short in a row.
LARGEST_PHI = 999.0


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What is remembered of the beats of one other site over one path.

    `intervals_s` are the last gaps between beats, `last_s` the time of the last beat,
    `first_look_s` the time of the first judgement before any beat came. `good_beats` counts the
    beats in a row since the silence ended, while `suspected`.
    """

    intervals_s: tuple[float, ...] = ()
    last_s: float | None = None
    suspected: bool = False
    good_beats: int = 0
    first_look_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """`history` is to be kept for the next call; `silent_s` counts from the last beat."""

    history: History
    phi: float
    suspected: bool
    silent_s: float
    reason: str


def heard(history: History, at_s: float, timing: Timing = TIMING) -> History:
    """The history with a beat that arrived at `at_s`; one from before the last is ignored."""
    if history.last_s is None:
        return replace(history, last_s=at_s, suspected=True, good_beats=1)
    gap_s = at_s - history.last_s
    if gap_s < 0:
        return history
    return History(
        intervals_s=_with_gap(history.intervals_s, gap_s, timing),
        last_s=at_s,
        suspected=history.suspected,
        good_beats=_good_beats(history, gap_s, timing) if history.suspected else 0,
        first_look_s=history.first_look_s,
    )


def judge(history: History, now_s: float, timing: Timing = TIMING) -> Judgement:
    """Suspected or not at `now_s`. A site that was never heard is suspected: it is not up."""
    if history.last_s is None:
        return _never_heard(history, now_s)
    silent_s = max(0.0, now_s - history.last_s)
    level = phi(history.intervals_s, silent_s, timing)
    suspected, reason = _suspected(history, level, silent_s, timing)
    return Judgement(
        history=replace(
            history, suspected=suspected, good_beats=history.good_beats if suspected else 0
        ),
        phi=level,
        suspected=suspected,
        silent_s=silent_s,
        reason=reason,
    )


def phi(intervals_s: tuple[float, ...], silent_s: float, timing: Timing = TIMING) -> float:
    """The suspicion after `silent_s` of silence, from 0 to `LARGEST_PHI`; it only grows."""
    mean_s, deviation_s = _mean_and_deviation(intervals_s, timing)
    y = (silent_s - mean_s - timing.acceptable_pause_s) / deviation_s
    x = y * (1.5976 + 0.070566 * y * y)
    # log(1 + exp(x)) in the form that neither overflows nor underflows.
    level = (max(x, 0.0) + math.log1p(math.exp(-abs(x)))) / math.log(10)
    return min(level, LARGEST_PHI)


def _with_gap(intervals_s: tuple[float, ...], gap_s: float, timing: Timing) -> tuple[float, ...]:
    if gap_s > timing.longest_gap_s:
        return intervals_s
    return (*intervals_s[-timing.window + 1 :], gap_s) if timing.window > 1 else (gap_s,)


def _good_beats(history: History, gap_s: float, timing: Timing) -> int:
    late = phi(history.intervals_s, gap_s, timing) >= timing.alive_phi
    return 1 if late else history.good_beats + 1


def _mean_and_deviation(intervals_s: tuple[float, ...], timing: Timing) -> tuple[float, float]:
    """What the window lacks counts as beats on time: a hiccup soon after the start would
    otherwise make the detector deaf until the window has filled."""
    missing = max(0, timing.window - len(intervals_s))
    count = missing + len(intervals_s)
    mean_s = (sum(intervals_s) + missing * timing.beat_s) / count
    squares = sum(gap_s * gap_s for gap_s in intervals_s) + missing * timing.beat_s**2
    # The gaps are short (`longest_gap_s`), so this form loses no digits that matter.
    variance = squares / count - mean_s * mean_s
    return mean_s, max(math.sqrt(max(variance, 0.0)), timing.least_deviation_s)


def _never_heard(history: History, now_s: float) -> Judgement:
    since_s = now_s if history.first_look_s is None else history.first_look_s
    silent_s = max(0.0, now_s - since_s)
    return Judgement(
        history=replace(history, suspected=True, good_beats=0, first_look_s=since_s),
        phi=LARGEST_PHI,
        suspected=True,
        silent_s=silent_s,
        reason=f"nothing heard yet, for {silent_s:.0f} s",
    )


def _suspected(history: History, level: float, silent_s: float, timing: Timing) -> tuple[bool, str]:
    if level >= timing.suspect_phi:
        return True, f"silent for {silent_s:.1f} s, phi {level:.1f}"
    if not history.suspected:
        return False, f"heard {silent_s:.1f} s ago, phi {level:.1f}"
    if level < timing.alive_phi and history.good_beats >= timing.alive_beats:
        return False, f"heard again, {history.good_beats} beats in a row"
    return True, (
        f"heard {silent_s:.1f} s ago, {history.good_beats} of {timing.alive_beats} beats in a row"
    )
