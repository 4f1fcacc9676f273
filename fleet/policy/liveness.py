"""Alive, suspect or dead (the words are SWIM's), from the age of the last word."""

from dataclasses import dataclass
from enum import StrEnum

#: Agents send a heartbeat this often.
HEARTBEAT_S = 5.0
#: Three beats missed: stop counting on it.
SUSPECT_AFTER_S = 15.0
#: Nine beats missed: its claims may be given away (with a newer token).
DEAD_AFTER_S = 45.0
#: A claim is renewed by every heartbeat that names it, for as long as a silence may last.
CLAIM_LEASE_S = DEAD_AFTER_S


class Liveness(StrEnum):
    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"
    UNKNOWN = "unknown"  # never heard of


@dataclass(frozen=True, slots=True)
class Verdict:
    liveness: Liveness
    reason: str


def verdict(age_s: float | None) -> Verdict:
    """Judge by the age of the last heartbeat in seconds; None means that none ever came."""
    if age_s is None:
        return Verdict(Liveness.UNKNOWN, "never heard of")
    if age_s < SUSPECT_AFTER_S:
        return Verdict(Liveness.ALIVE, f"heard {age_s:.0f} s ago")
    if age_s < DEAD_AFTER_S:
        return Verdict(Liveness.SUSPECT, f"silent for {age_s:.0f} s")
    return Verdict(Liveness.DEAD, f"silent for {age_s:.0f} s, more than {DEAD_AFTER_S:.0f} s")
