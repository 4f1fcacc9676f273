"""Wrong versions of the rules. Each must break an invariant; the model shows the shortest way."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from fleet.policy import broker_rules, effects, lease, minimal, modes, verdict
from fleet.policy.decision import Decision
from fleet.policy.effects import EffectClass
from fleet.policy.lease import Lease, Own
from fleet.policy.modes import Mode, ModeState
from fleet.policy.states import RunStatus
from fleet.policy.timing import TIMING
from fleet.policy.tokens import make_token
from fleet.policy.verdict import Kind, Verdict
from tasks.journal.claims import ClaimVerdict
from tests.model.broker import passed
from tests.model.liveness import stuck
from tests.model.rules import Rules
from tests.model.search import Concrete, Found, Search

MOST_FAULTS = 3


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """`breaks` is how the name of the broken invariant begins; `tasks` are those in play."""

    name: str
    breaks: str
    rules: dict[str, Any] = field(default_factory=dict)
    tasks: tuple[EffectClass, ...] = ()


def _one_observer(matrix: Any, *, me: str, subject: str, **kw: Any) -> Verdict:
    found = verdict.classify(matrix, me=me, subject=subject, **kw)
    own = matrix[me].row.heard.get(subject)
    missed = own is not None and not own.heard
    return Verdict(subject, Kind.SUSPECT, "I miss it") if missed else found


def _believes_the_activator(held: Lease, request: Any, own: Own, **kw: Any) -> lease.Answer:
    blind = replace(own, kind_of_down=Kind.DOWN, confirmed=True, hears_down=False)
    return lease.ask(held, request, blind, **kw)


def _gives_away(held: Lease, request: Any, own: Own, **kw: Any) -> lease.Answer:
    mine = (held.activator, held.down) == (request.activator, request.down)
    return lease.ask(held if mine else Lease(), request, own, **kw)


def _frees_early(held: Lease, *, now_s: float, boot_id: str, **kw: Any) -> bool:
    short = replace(TIMING, lease_ttl_s=TIMING.lease_ttl_s / 3)
    return lease.is_free(held, now_s=now_s, boot_id=boot_id, timing=short)


def _never_frees(held: Lease, **kw: Any) -> bool:
    return held.generation == 0


def _frees_at_boot(held: Lease, *, now_s: float, boot_id: str, **kw: Any) -> bool:
    return held.boot_id != boot_id or lease.is_free(held, now_s=now_s, boot_id=boot_id)


def _frees_under_drift(held: Lease, *, now_s: float, boot_id: str, **kw: Any) -> bool:
    turned = replace(TIMING, lease_drift=-TIMING.lease_drift)
    return lease.is_free(held, now_s=now_s, boot_id=boot_id, timing=turned)


def _starts_under_drift(permit: Any, *, now_s: float, boot_id: str, **kw: Any) -> Decision:
    turned = replace(TIMING, lease_drift=-TIMING.lease_drift)
    return lease.may_start(permit, now_s=now_s, boot_id=boot_id, timing=turned)


def _never_stops(permit: Any, *, now_s: float, boot_id: str, **kw: Any) -> Decision:
    return lease.may_start(permit, now_s=permit.sent_s, boot_id=boot_id)


def _forgets_the_boot(permit: Any, *, now_s: float, boot_id: str, **kw: Any) -> Decision:
    return lease.may_start(permit, now_s=now_s, boot_id=permit.boot_id)


def _straight_over(state: ModeState, evidence: Any, **kw: Any) -> tuple[ModeState, str]:
    """Without a state for the way back, a failover is only ever followed by the next one."""
    lost = state.mode is Mode.FAILOVER and evidence.kinds[state.site] is Kind.DOWN
    if state.mode is not Mode.FAILOVER or lost or evidence.alone_s:
        return modes.next_mode(state, evidence)
    down = [site for site, kind in evidence.kinds.items() if kind is Kind.DOWN]
    if not down:
        return state, "waits"
    return replace(state, site=down[0], epoch=state.epoch + 1), "straight over"


def _stays_minimal(state: ModeState, evidence: Any, **kw: Any) -> tuple[ModeState, str]:
    return (state, "") if state.mode is Mode.MINIMAL else modes.next_mode(state, evidence)


def _ignores_the_lease(state: ModeState, evidence: Any, **kw: Any) -> tuple[ModeState, str]:
    return modes.next_mode(state, replace(evidence, lease_free=True))


def _same_epoch(state: ModeState, evidence: Any, **kw: Any) -> tuple[ModeState, str]:
    after, reason = modes.next_mode(state, evidence)
    return replace(after, epoch=state.epoch), reason


def _never_minimal(state: ModeState, evidence: Any, **kw: Any) -> tuple[ModeState, str]:
    return modes.next_mode(state, replace(evidence, alone_s=0.0))


def _allows_all(deed: Any, mode: Mode, **kw: Any) -> Decision:
    return minimal.may(deed, Mode.NORMAL, **kw)


def _allows(*free: minimal.Deed) -> Callable[..., Decision]:
    def may(deed: Any, mode: Mode, **kw: Any) -> Decision:
        return minimal.may(deed, Mode.NORMAL if deed in free else mode, **kw)

    return may


def _retries_all(effect: EffectClass, attempts: int, most: int) -> effects.LossDecision:
    return effects.after_lost_attempt(EffectClass.A, attempts, most)


_C, _D = (EffectClass.C,), (EffectClass.D,)
_NO_CLAIM = {
    (row, lives, newer, effect): ClaimVerdict.CLAIMED
    for row in range(4)
    for lives in (False, True)
    for newer in (-1, 0, 1)
    for effect in EffectClass
}

MUTANTS = (
    Mutant(name="one observer is enough", breaks="I6", rules={"classify": _one_observer}),
    Mutant(
        name="the grantor believes the activator",
        breaks="I6",
        rules={"ask": _believes_the_activator},
    ),
    Mutant(name="the lease is given away", breaks="I5", rules={"ask": _gives_away}),
    Mutant(name="the lease is free too early", breaks="I5", rules={"is_free": _frees_early}),
    Mutant(name="a boot frees the lease", breaks="I5", rules={"is_free": _frees_at_boot}),
    Mutant(
        name="the margin for drift is turned round",
        breaks="I5",
        rules={"is_free": _frees_under_drift, "may_start": _starts_under_drift},
    ),
    Mutant(name="the holder never stops", breaks="I5", rules={"may_start": _never_stops}),
    Mutant(
        name="the holder forgets that it slept", breaks="I5", rules={"may_start": _forgets_the_boot}
    ),
    Mutant(
        name="the holder counts from the answer",
        breaks="I5",
        rules={"counts_from_question": False},
    ),
    Mutant(name="work without a lease", breaks="I5", rules={"needs_permit": False}, tasks=_C),
    Mutant(
        name="one failover after another",
        breaks="failover was",
        rules={"next_mode": _straight_over},
    ),
    Mutant(
        name="the mode ignores the lease",
        breaks="normal although",
        rules={"next_mode": _ignores_the_lease},
    ),
    Mutant(name="the epoch stays", breaks="I8", rules={"next_mode": _same_epoch}),
    Mutant(
        name="minimal mode is never entered",
        breaks="normal although",
        rules={"next_mode": _never_minimal},
    ),
    Mutant(
        name="minimal mode publishes again",
        breaks="I7",
        rules={"may": _allows(minimal.Deed.PUBLISH_AGAIN)},
        tasks=_C,
    ),
    Mutant(
        name="minimal mode takes claims for lost",
        breaks="I7",
        rules={"may": _allows(minimal.Deed.EXPIRE_LAN_LEASE)},
        tasks=_C,
    ),
    Mutant(name="minimal mode allows all", breaks="I7", rules={"may": _allows_all}, tasks=_C),
    Mutant(
        name="no token at the commit",
        breaks="I4",
        rules={"commits": lambda current, token, status: status is RunStatus.RUNNING},
        tasks=_C,
    ),
    Mutant(
        name="a run is committed twice",
        breaks="I3",
        rules={"commits": lambda current, token, status: token == current},
        tasks=_C,
    ),
    Mutant(
        name="no token at the sink",
        breaks="I3",
        rules={"sink_takes": lambda newest, token: True},
        tasks=_C,
    ),
    Mutant(
        name="the journal grants every claim", breaks="I3", rules={"claims": _NO_CLAIM}, tasks=_D
    ),
    Mutant(
        name="class D is tried again", breaks="I3", rules={"after_loss": _retries_all}, tasks=_D
    ),
    Mutant(
        name="class D is not pinned",
        breaks="I3",
        rules={"must_pin": lambda effect: False},
        tasks=_D,
    ),
    Mutant(
        name="the token stays",
        breaks="I8",
        rules={"make_token": lambda counter, home: make_token(1, home)},
        tasks=_C,
    ),
    Mutant(
        name="a token of another home",
        breaks="I9",
        rules={"make_token": lambda counter, home: make_token(counter, home + 1)},
        tasks=_C,
    ),
)


def hunt(mutant: Mutant, seconds: float = 120.0) -> Found:
    """The shortest way to what the mutant breaks, with as few faults as it takes."""
    rules = replace(Rules(), **mutant.rules)
    found = Found(0, 0, 0, 0.0, True)
    for faults in range(MOST_FAULTS + 1):
        found = Search(rules, Concrete(rules, faults), mutant.tasks).run(seconds, traced=True)
        if found.broken:
            break
    return found


def hunt_two_masters(*, without: str) -> list[str]:
    """The way to two masters when one of the rules about settings is missing."""

    def rules(plan: broker_rules.BrokerPlan) -> tuple[str, ...]:
        return tuple(line for line in broker_rules.broken_rules(plan) if without not in line)

    return passed(rules)[3]


#: Wrong versions that break nothing and never come to rest either (L2).
RESTLESS: dict[str, dict[str, Any]] = {
    "minimal mode is never left": {"next_mode": _stays_minimal},
    "a lease is never free": {"is_free": _never_frees},
}


def hunt_restless(name: str) -> str:
    """The state from which the fleet does not come to rest."""
    return stuck(replace(Rules(), **RESTLESS[name]), faults=1)
