"""The activation lease: whether the standby site may start work, and who asked for it.

A surviving LAN (the activator) asks, the control plane (the grantor) grants, the standby machine
(the holder) works. Each end counts on its own monotonic clock, and their clocks may run apart by
`Timing.lease_drift`. So the holder stops a little early, counted from the moment it *asked*, and
the grantor waits a little longer, counted from the moment it *answered*: while anybody believes
to hold the lease, nobody else can get it. The figures are Patroni's: renew every 10 s, live 30 s.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fleet.policy.budget import Spent, budget
from fleet.policy.decision import Decision
from fleet.policy.timing import TIMING, Timing
from fleet.policy.verdict import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The grantor's record. Generation 0: never granted.

    `granted_s` is on the clock that `boot_id` names: the monotonic clock of one boot, which
    counts from that boot (Linux: `time.monotonic` and `/proc/sys/kernel/random/boot_id`).
    """

    generation: int = 0
    activator: str = ""
    down: str = ""
    epoch: int = 0
    granted_s: float = 0.0
    boot_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What the activator says: its peer `down` is lost, as it saw `evidence_age_s` ago.

    `generation` is the lease to renew, 0 for a new one.
    """

    activator: str
    down: str
    evidence_age_s: float
    generation: int
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What the grantor sees itself.

    `confirmed`: its view of the lost site has held for the whole time of confirmation.
    `ramping`: the lost site is back and does not yet take its full share.
    """

    kind_of_down: Kind
    confirmed: bool
    hears_activator: bool
    hears_down: bool
    ramping: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`lease` is the new record, or the old one as it was when nothing is granted."""

    granted: bool
    lease: Lease
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """The holder's record: valid for `ttl_s` after it asked, at `sent_s` on its own clock.

    `ttl_s` is what the grantor said was left (`left_s`). `boot_id` changes with every start and
    every resume of the holder: a clock that stood still proves nothing.
    """

    generation: int
    sent_s: float
    boot_id: str
    ttl_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """Everything that a rule may look at."""

    lease: Lease
    request: Ask
    own: Own
    now_s: float
    boot_id: str
    epoch: int
    timing: Timing


def ask(
    lease: Lease,
    request: Ask,
    own: Own,
    *,
    now_s: float,
    boot_id: str,
    epoch: int,
    spent: Spent,
    confirmed_by_person: bool = False,
    timing: Timing = TIMING,
) -> Answer:
    """Grant, renew or refuse; the reason names the rule that decided."""
    case = _Case(
        lease=lease,
        request=request,
        own=own,
        now_s=now_s,
        boot_id=boot_id,
        epoch=epoch,
        timing=timing,
    )
    renewal = _is_renewal(case)
    broken = (rule(case) for rule in (RENEWAL if renewal else NEW))
    refused = next((sentence for sentence in broken if sentence), "")
    if refused:
        return Answer(granted=False, lease=lease, reason=refused)
    money = budget(spent, confirmed_by_person=confirmed_by_person, timing=timing)
    if not money.allowed:
        return Answer(granted=False, lease=lease, reason=money.reason)
    return _granted(case, renewal, money.reason)


def is_free(lease: Lease, *, now_s: float, boot_id: str, timing: Timing = TIMING) -> bool:
    """The grantor's belief: nobody can still think that this lease is theirs.

    After a boot the time of the grant is lost, but it was before the boot: the wait starts there.
    """
    if lease.generation == 0:
        return True
    since_s = lease.granted_s if lease.boot_id == boot_id else 0.0
    return now_s - since_s >= timing.lease_ttl_s * (1 + timing.lease_drift)


def left_s(lease: Lease, *, now_s: float, boot_id: str, timing: Timing = TIMING) -> float:
    """Seconds that the grantor may still promise to the holder; 0.0 when the lease is over."""
    if lease.generation == 0 or lease.boot_id != boot_id:
        return 0.0
    return max(0.0, lease.granted_s + timing.lease_ttl_s - now_s)


def ends_s(permit: Permit, *, timing: Timing = TIMING) -> float:
    """When the holder stops starting work, on the holder's clock; no promise reaches further
    than a whole lease."""
    return permit.sent_s + min(permit.ttl_s, timing.lease_ttl_s) * (1 - timing.lease_drift)


def may_start(
    permit: Permit | None, *, now_s: float, boot_id: str, timing: Timing = TIMING
) -> Decision:
    """The holder's belief: whether a task may start now. What runs already may finish."""
    if permit is None or permit.generation < 1:
        return Decision(False, "no lease has been granted")
    if permit.boot_id != boot_id:
        return Decision(False, "the lease is from before the last start or resume; ask again")
    remaining_s = ends_s(permit, timing=timing) - now_s
    if not remaining_s > 0:
        return Decision(False, f"the lease {permit.generation} ran out {-remaining_s:.0f} s ago")
    return Decision(True, f"lease {permit.generation}, {remaining_s:.0f} s left")


def _is_renewal(case: _Case) -> bool:
    """The same activator asks for more of what it holds, in time."""
    held, asked = case.lease, case.request
    return (
        _same_holder(case)
        and asked.generation == held.generation
        and left_s(held, now_s=case.now_s, boot_id=case.boot_id, timing=case.timing) > 0
    )


def _same_holder(case: _Case) -> bool:
    held, asked = case.lease, case.request
    return (held.activator, held.down) == (asked.activator, asked.down)


def _granted(case: _Case, renewal: bool, money: str) -> Answer:
    asked = case.request
    lease = Lease(
        generation=case.lease.generation + (not renewal),
        activator=asked.activator,
        down=asked.down,
        epoch=case.epoch,
        granted_s=case.now_s,
        boot_id=case.boot_id,
    )
    lost = case.own.kind_of_down in STILL_LOST
    state = "down" if lost else "back, but not yet at full share"
    did = "renewed for" if renewal else "granted to"
    reason = f"{did} {asked.activator}: both find {asked.down} {state}; {money}"
    return Answer(granted=True, lease=lease, reason=reason)


def _two_sites(case: _Case) -> str:
    asked = case.request
    if asked.activator and asked.down and asked.activator != asked.down:
        return ""
    return "name two different sites: the one that asks and the one that is down"


def _epoch(case: _Case) -> str:
    if case.request.epoch == case.epoch:
        return ""
    return f"asked in epoch {case.request.epoch}, the fleet is in {case.epoch}: catch up first"


def _generation(case: _Case) -> str:
    asked, held = case.request.generation, case.lease.generation
    if asked in (0, held):
        return ""
    return f"asked to renew lease {asked}, the last one is {held}: ask anew with 0"


def _evidence(case: _Case) -> str:
    age_s, limit_s = case.request.evidence_age_s, case.timing.evidence_fresh_s
    if 0 <= age_s < limit_s:
        return ""
    return f"{case.request.activator} last looked {age_s:.1f} s ago, allowed are {limit_s:.0f} s"


def _hears_activator(case: _Case) -> str:
    if case.own.hears_activator:
        return ""
    return f"the control plane does not hear {case.request.activator}"


def _finds_it_down(case: _Case) -> str:
    down, own = case.request.down, case.own
    if own.hears_down:
        return f"the control plane hears {down}"
    if own.kind_of_down is not Kind.DOWN:
        return f"the control plane finds {down} {own.kind_of_down}, not down"
    return "" if own.confirmed else f"the control plane has not confirmed yet that {down} is down"


def _still_needed(case: _Case) -> str:
    down, own = case.request.down, case.own
    if own.ramping:
        return ""
    if own.hears_down:
        return f"{down} is back"
    if own.kind_of_down in STILL_LOST:
        return ""
    return f"the control plane finds {down} {own.kind_of_down}, no longer down"


def _free(case: _Case) -> str:
    held = case.lease
    free = is_free(held, now_s=case.now_s, boot_id=case.boot_id, timing=case.timing)
    if free or _same_holder(case):
        return ""
    return f"{held.activator} holds lease {held.generation} for {held.down} until it runs out"


#: Views of the lost site that let a lease go on; only the first lets one begin.
STILL_LOST = frozenset({Kind.DOWN, Kind.SUSPECT})

COMMON: tuple[Callable[[_Case], str], ...] = (
    _two_sites,
    _epoch,
    _generation,
    _evidence,
    _hears_activator,
)
#: Each rule gives the sentence that refuses, or "". The first sentence counts.
NEW = (*COMMON, _finds_it_down, _free)
RENEWAL = (*COMMON, _still_needed)
