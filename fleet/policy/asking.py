"""For whom, and how often, a LAN asks for the standby: what it remembers between two answers."""

from collections.abc import Sequence
from dataclasses import dataclass

from fleet.policy.timing import TIMING, Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """`generation` is that of the lease that was granted for `subject` at `granted_s`, on the
    asker's monotonic clock; 0 and "": none."""

    subject: str = ""
    generation: int = 0
    granted_s: float = float("-inf")


def subject_of(asking: Asking, down: Sequence[str], now_s: float, timing: Timing = TIMING) -> str:
    """Whom to ask for now; "" for nobody.

    A site that is back is asked for as long as the lease may live: while it ramps up, the
    standby carries the rest. The control plane says when that is over.
    """
    if down:
        return down[0]
    return asking.subject if now_s - asking.granted_s < timing.lease_ttl_s else ""


def answered(
    asking: Asking, subject: str, *, granted: bool, generation: int, now_s: float
) -> Asking:
    """What is remembered of an answer. A refusal takes nothing away: it may only have come
    before the news of a new epoch, and the lease in hand can still be renewed."""
    if granted:
        return Asking(subject=subject, generation=generation, granted_s=now_s)
    return asking if subject == asking.subject else Asking()


def pause_s(*, granted: bool, timing: Timing = TIMING) -> float:
    """How long to wait before the next question."""
    return timing.lease_renew_s if granted else timing.beat_s
