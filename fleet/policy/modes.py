"""The modes of the fleet: one table of what may follow what, and rules that choose.

The control plane computes the mode from verdicts that were confirmed and from the lease, and
writes it by compare-and-set on the epoch. A LAN computes only whether it has lost the control
plane (`lan-only`) or everybody (`island`).

One failover never follows another directly: in between lies the end of the first one's lease.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fleet.policy.recovery import Stage
from fleet.policy.timing import TIMING, Timing
from fleet.policy.verdict import Kind


class Mode(StrEnum):
    NORMAL = "normal"
    FAILOVER = "failover"  # of the site in the state
    MINIMAL = "minimal"  # the control plane hears nobody
    LAN_ONLY = "lan-only"  # seen from a LAN: the control plane is lost, the other LAN is not
    ISLAND = "island"  # seen from a LAN: everybody is lost
    RECOVERING = "recovering"  # of the site in the state
    MAINTENANCE = "maintenance"  # of the site in the state
    OVERRIDE = "override"  # a person has said who is down


#: Modes of the whole fleet, which the control plane writes; the others are a LAN's own view.
FLEET_MODES = frozenset(Mode) - {Mode.LAN_ONLY, Mode.ISLAND}

_LOCAL = frozenset({Mode.LAN_ONLY, Mode.ISLAND})

TRANSITIONS: dict[Mode, frozenset[Mode]] = {
    Mode.NORMAL: FLEET_MODES - {Mode.NORMAL} | _LOCAL,
    # From one failover to another there is no transition: it passes through another mode.
    Mode.FAILOVER: frozenset({Mode.MINIMAL, Mode.RECOVERING, Mode.OVERRIDE}) | _LOCAL,
    Mode.MINIMAL: FLEET_MODES - {Mode.MINIMAL} | _LOCAL,
    Mode.RECOVERING: FLEET_MODES | _LOCAL,
    Mode.MAINTENANCE: FLEET_MODES | _LOCAL,
    Mode.OVERRIDE: FLEET_MODES - {Mode.OVERRIDE} | _LOCAL,
    Mode.LAN_ONLY: frozenset({Mode.NORMAL, Mode.ISLAND}),
    Mode.ISLAND: frozenset({Mode.NORMAL, Mode.LAN_ONLY}),
}

#: Verdicts that leave open whether a site is there.
UNDECIDED = frozenset({Kind.SUSPECT, Kind.UNKNOWN, Kind.SELF_ISOLATED})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeState:
    """`site` is the one that the mode is about, or ""; `epoch` rises with every change."""

    mode: Mode = Mode.NORMAL
    site: str = ""
    epoch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the deciding site `me` knows; `control` is the site of the control plane.

    `kinds`: the verdict on each other site, after confirmation. `alone_s`: for how many seconds
    it has heard nobody on any path, 0.0 when it hears somebody. `lease_free` and `lease_down`:
    whether the grantor regards the lease as free, and for which lost site it was given.
    `recovering`: the stage of each site that was declared down, from that moment until it is
    done. `maintained` and `asserted_down`: what operators have declared and has not run out.
    """

    me: str
    control: str
    kinds: Mapping[str, Kind]
    alone_s: float = 0.0
    lease_free: bool = True
    lease_down: str = ""
    recovering: Mapping[str, Stage] = field(default_factory=dict)
    maintained: frozenset[str] = frozenset()
    asserted_down: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Wish:
    """Where a rule wants to go. The mode stays as it is where `mode` is None."""

    mode: Mode | None
    site: str
    reason: str


class IllegalModeError(ValueError):
    """The mode cannot follow the present one; nothing changes."""

    def __init__(self, state: ModeState, mode: Mode, site: str) -> None:
        possible = ", ".join(sorted(TRANSITIONS[state.mode]))
        super().__init__(
            f"{_name(state.mode, state.site)} cannot become {_name(mode, site)}; "
            f"possible: {possible}"
        )


def transition(state: ModeState, mode: Mode, site: str = "") -> ModeState:
    """The state after a change of mode; raises IllegalModeError where the table has no entry.

    A LAN's own view keeps the fleet's epoch: a LAN that counted it up by itself could claim an
    epoch that the control plane has given to others meanwhile, and get past a fence.
    """
    if mode not in TRANSITIONS[state.mode] or (mode, site) == (state.mode, state.site):
        raise IllegalModeError(state, mode, site)
    local = not {state.mode, mode} <= FLEET_MODES
    return ModeState(mode=mode, site=site, epoch=state.epoch + (not local))


def next_mode(
    state: ModeState, evidence: Evidence, timing: Timing = TIMING
) -> tuple[ModeState, str]:
    """At most one transition; ask again at once after it. The same state means: stay."""
    rules = CONTROL_RULES if evidence.me == evidence.control else LAN_RULES
    wishes = (rule(state, evidence, timing) for rule in rules)
    wish = next(w for w in wishes if w is not None)
    if wish.mode is None or (wish.mode, wish.site) == (state.mode, state.site):
        return state, wish.reason
    return transition(state, wish.mode, wish.site), wish.reason


def broken_invariants(
    before: ModeState, after: ModeState, evidence: Evidence, timing: Timing = TIMING
) -> tuple[str, ...]:
    """One sentence for each invariant that a step breaks; the caller applies no such step."""
    checks = (
        _epoch_invariant(before, after),
        _table_invariant(before, after),
        _failover_invariant(before, after, evidence),
        _minimal_invariant(before, after, evidence, timing),
        _normal_invariant(before, after, evidence),
    )
    return tuple(sentence for sentence in checks if sentence)


def _name(mode: Mode, site: str) -> str:
    return f"{mode} of {site}" if site else str(mode)


def _sites(evidence: Evidence, kinds: frozenset[Kind]) -> list[str]:
    found = (site for site, kind in evidence.kinds.items() if kind in kinds)
    return sorted(site for site in found if site != evidence.me)


def _by_override(state: ModeState, evidence: Evidence, timing: Timing) -> _Wish | None:
    if not evidence.asserted_down:
        return None
    names = ", ".join(sorted(evidence.asserted_down))
    return _Wish(Mode.OVERRIDE, "", f"a person asserts that {names} is down")


def _by_silence(state: ModeState, evidence: Evidence, timing: Timing) -> _Wish | None:
    if evidence.alone_s <= 0:
        return None
    heard_nobody = f"nobody was heard for {evidence.alone_s:.0f} s"
    if evidence.alone_s >= timing.confirm_s:
        return _Wish(Mode.MINIMAL, "", heard_nobody)
    return _Wish(None, "", f"{heard_nobody}; minimal mode at {timing.confirm_s:.0f} s")


def _by_loss(state: ModeState, evidence: Evidence, timing: Timing) -> _Wish | None:
    down = _sites(evidence, frozenset({Kind.DOWN}))
    if not down:
        return None
    if state.mode is Mode.FAILOVER and state.site in down:
        return _Wish(None, "", f"{state.site} is still down")
    if state.mode is Mode.FAILOVER:
        return _leave_failover(state, evidence)
    if not evidence.lease_free and evidence.lease_down != down[0]:
        reason = f"{down[0]} is down, but the lease for {evidence.lease_down} is not free yet"
        return _Wish(None, "", reason)
    return _Wish(Mode.FAILOVER, down[0], f"{down[0]} is down: two sites agree")


def _by_return(state: ModeState, evidence: Evidence, timing: Timing) -> _Wish | None:
    if state.mode is Mode.FAILOVER:
        return _leave_failover(state, evidence)
    stages = evidence.recovering
    back = sorted(site for site, stage in stages.items() if stage is not Stage.DONE)
    if not back:
        return None
    site = state.site if state.mode is Mode.RECOVERING and state.site in back else back[0]
    return _Wish(Mode.RECOVERING, site, f"{site} comes back: {stages[site]}")


def _leave_failover(state: ModeState, evidence: Evidence) -> _Wish:
    kind = evidence.kinds.get(state.site, Kind.UNKNOWN)
    if kind in UNDECIDED:
        return _Wish(None, "", f"{state.site} is {kind}: not heard well enough to come back")
    return _Wish(Mode.RECOVERING, state.site, f"{state.site} is heard again")


def _by_maintenance(state: ModeState, evidence: Evidence, timing: Timing) -> _Wish | None:
    if not evidence.maintained:
        return None
    site = min(evidence.maintained)
    return _Wish(Mode.MAINTENANCE, site, f"{site} is stopped as planned")


def _by_calm(state: ModeState, evidence: Evidence, timing: Timing) -> _Wish | None:
    if not evidence.lease_free:
        return _Wish(None, "", f"the lease for {evidence.lease_down} is not free yet")
    open_sites = _sites(evidence, UNDECIDED)
    if open_sites:
        return _Wish(None, "", f"not decided yet whether {', '.join(open_sites)} is there")
    return _Wish(Mode.NORMAL, "", "every site is there")


def _by_island(state: ModeState, evidence: Evidence, timing: Timing) -> _Wish | None:
    if evidence.alone_s >= timing.confirm_s:
        return _Wish(Mode.ISLAND, evidence.me, f"nobody was heard for {evidence.alone_s:.0f} s")
    return None


def _by_lost_control(state: ModeState, evidence: Evidence, timing: Timing) -> _Wish | None:
    if evidence.kinds.get(evidence.control) is Kind.DOWN and evidence.alone_s <= 0:
        return _Wish(Mode.LAN_ONLY, "", "the control plane is lost, the other LAN agrees")
    return None


def _by_control(state: ModeState, evidence: Evidence, timing: Timing) -> _Wish | None:
    kind = evidence.kinds.get(evidence.control, Kind.UNKNOWN)
    if state.mode in FLEET_MODES:
        return _Wish(None, "", f"the control plane is {kind}; its word counts")
    if kind in UNDECIDED or kind is Kind.DOWN or evidence.alone_s > 0:
        return _Wish(None, "", f"the control plane is {kind}")
    return _Wish(Mode.NORMAL, "", "the control plane is heard again; its word counts")


_Rule = Callable[[ModeState, Evidence, Timing], _Wish | None]
#: The first rule that has an opinion counts; the last one always has.
CONTROL_RULES: tuple[_Rule, ...] = (
    _by_override,
    _by_silence,
    _by_loss,
    _by_return,
    _by_maintenance,
    _by_calm,
)
LAN_RULES: tuple[_Rule, ...] = (_by_island, _by_lost_control, _by_control)


def _epoch_invariant(before: ModeState, after: ModeState) -> str:
    if after == before or {before.mode, after.mode} & _LOCAL:
        return ""
    return "" if after.epoch > before.epoch else "the mode changed and the epoch did not rise"


def _table_invariant(before: ModeState, after: ModeState) -> str:
    if (after.mode, after.site) == (before.mode, before.site):
        return ""
    if after.mode in TRANSITIONS[before.mode]:
        return ""
    return f"{before.mode} was followed by {after.mode}"


def _failover_invariant(before: ModeState, after: ModeState, evidence: Evidence) -> str:
    if after.mode is not Mode.FAILOVER:
        return ""
    if not evidence.lease_free and evidence.lease_down != after.site:
        return f"failover of {after.site} while a lease for {evidence.lease_down} may be in use"
    begins = before.mode is not Mode.FAILOVER
    if begins and evidence.kinds.get(after.site) is not Kind.DOWN:
        return f"failover of {after.site}, which was not found down"
    return ""


def _minimal_invariant(
    before: ModeState, after: ModeState, evidence: Evidence, timing: Timing
) -> str:
    """Who hears nobody for long enough is in minimal mode, unless a person has said more."""
    silent = evidence.alone_s >= timing.confirm_s
    if after.mode is Mode.MINIMAL and before.mode is not Mode.MINIMAL and not silent:
        return "minimal mode although somebody was heard lately"
    if silent and after.mode in FLEET_MODES - {Mode.MINIMAL, Mode.OVERRIDE}:
        return f"{after.mode} although nobody was heard for {evidence.alone_s:.0f} s"
    return ""


def _normal_invariant(before: ModeState, after: ModeState, evidence: Evidence) -> str:
    begins = after.mode is Mode.NORMAL and before.mode is not Mode.NORMAL
    if begins and not evidence.lease_free and before.mode not in _LOCAL:
        return "normal although a lease may still be in use"
    return ""
