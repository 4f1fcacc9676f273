"""What to do about an attempt that is under way, from what ledger, broker and journals say."""

from dataclasses import dataclass
from enum import StrEnum

from fleet.policy.liveness import CLAIM_LEASE_S
from fleet.policy.states import AttemptStatus

#: A created attempt that nobody marked as published: its relay died in between.
UNMARKED_AFTER_S = 2.0
#: A published attempt that is in no list of the broker and that no worker has claimed.
#: Longer than a report may take, shorter than anybody's patience.
MISSING_AFTER_S = 10.0
#: Each further publication of the same attempt waits longer, up to this.
MISSING_AT_MOST_S = 60.0
#: Clocks drift and reports queue: a lease is over only this much after its end.
LEASE_GRACE_S = 10.0


#: After a switch of masters: time for reports of claims that are on their way.
SWALLOWED_AFTER_S = 2.0


class Action(StrEnum):
    LEAVE = "leave"
    PUBLISH_AGAIN = "publish again"
    LOSE = "lose"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """An attempt under way.

    `in_broker`: it waits in a queue; None when the broker could not be read. Ages are seconds:
    `published_age_s` since it was last published or seen waiting (or created, before that),
    `seen_age_s` since an agent last said that it was being worked on. `switched_age_s`: seconds
    since another Redis became master after the attempt was published; None if none did. `held`:
    a worker has taken it and not acknowledged.
    """

    status: AttemptStatus
    published_age_s: float
    times_published: int
    seen_age_s: float | None
    in_broker: bool | None
    switched_age_s: float | None = None
    held: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    action: Action
    reason: str


def decide(attempt: Observed) -> Decision:
    """One decision for one attempt."""
    if attempt.status is AttemptStatus.RUNNING:
        return _running(attempt)
    if attempt.in_broker is None:
        return Decision(Action.LEAVE, "the broker cannot be read")
    if attempt.in_broker:
        return Decision(Action.LEAVE, "in the broker")
    return _created(attempt) if attempt.status is AttemptStatus.CREATED else _published(attempt)


def _running(attempt: Observed) -> Decision:
    silent_s = attempt.seen_age_s if attempt.seen_age_s is not None else attempt.published_age_s
    if silent_s > CLAIM_LEASE_S + LEASE_GRACE_S:
        return Decision(Action.LOSE, f"its worker's box has been silent for {silent_s:.0f} s")
    return Decision(Action.LEAVE, "being worked on")


def _created(attempt: Observed) -> Decision:
    if attempt.published_age_s >= UNMARKED_AFTER_S:
        return Decision(Action.PUBLISH_AGAIN, "created, but never seen to be published")
    return Decision(Action.LEAVE, "being published")


def _published(attempt: Observed) -> Decision:
    if attempt.switched_age_s is not None and not attempt.held:
        return _swallowed(attempt.switched_age_s)
    patience_s = min(MISSING_AFTER_S * max(1, attempt.times_published), MISSING_AT_MOST_S)
    if attempt.published_age_s < patience_s:
        return Decision(Action.LEAVE, "taken, or about to be seen")
    return Decision(
        Action.PUBLISH_AGAIN,
        f"neither in the broker nor running for {attempt.published_age_s:.0f} s; same token",
    )


def _swallowed(switched_age_s: float) -> Decision:
    """The old master had it, the new one does not, and no worker is known to."""
    if switched_age_s < SWALLOWED_AFTER_S:
        return Decision(Action.LEAVE, "the broker has just moved; claims may be on their way")
    return Decision(
        Action.PUBLISH_AGAIN,
        f"lost when the broker moved {switched_age_s:.0f} s ago; same token",
    )
