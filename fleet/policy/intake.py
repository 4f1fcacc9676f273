"""How much a worker may take, as the last word that it got says."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """One word to the workers of a site.

    `share` of the slots, 0 to 1. `pinned_only`: only tasks that name the site (canaries do).
    `until_s`: valid before this moment of the receiver's monotonic clock; None until revoked.
    `boot_id` names that clock, `generation` the lease that the word rests on (0: none).
    """

    share: float
    pinned_only: bool = False
    until_s: float | None = None
    boot_id: str = ""
    generation: int = 0
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse a share that means nothing (NaN included)."""
        if not 0.0 <= self.share <= 1.0:
            raise ValueError(f"share {self.share} must be between 0 and 1")


def limit(
    intake: Intake | None, *, slots: int, now_s: float, boot_id: str, standby: bool
) -> tuple[int, str]:
    """How many tasks at a time, and why.

    Without a valid word a LAN worker takes all, because a LAN works when nobody can reach it;
    a standby worker takes nothing, because it works only under a lease.
    """
    void = _void(intake, now_s, boot_id, standby)
    if intake is None or void:
        return (0, f"standby: {void}") if standby else (slots, f"all slots: {void}")
    return min(slots, math.ceil(intake.share * slots)), intake.reason


def _void(intake: Intake | None, now_s: float, boot_id: str, standby: bool) -> str:
    """Why the word does not count; "" when it does."""
    if intake is None:
        return "no word from the control plane"
    if intake.boot_id != boot_id:
        return "the last word is from before this start or resume"
    if intake.until_s is not None and not now_s < intake.until_s:
        return f"the last word ran out {now_s - intake.until_s:.0f} s ago"
    if standby and (intake.until_s is None or intake.generation < 1):
        return "the last word rests on no lease"
    return ""
