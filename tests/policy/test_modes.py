"""The modes of the fleet: the table a second time, the rules, and every order of events."""

import itertools
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.policy.modes import (
    FLEET_MODES,
    TRANSITIONS,
    Evidence,
    IllegalModeError,
    Mode,
    ModeState,
    broken_invariants,
    next_mode,
    transition,
)
from fleet.policy.recovery import Stage
from fleet.policy.verdict import Kind

SITES = ("dc1", "dc2", "dc3")
CALM = Evidence(me="dc3", control="dc3", kinds={"dc1": Kind.UP, "dc2": Kind.UP})
FLEET = "failover maintenance minimal normal override recovering"
#: From -> to, written from the contract. A LAN may lose the control plane in any mode.
CONTRACT = {
    "normal": "failover maintenance minimal override recovering",
    "failover": "minimal override recovering",
    "minimal": "failover maintenance normal override recovering",
    "recovering": FLEET,
    "maintenance": FLEET,
    "override": "failover maintenance minimal normal recovering",
}
LOCAL = {"lan-only": "normal island", "island": "normal lan-only"}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(Mode, Mode)))
def test_the_table_is_the_contract(before: Mode, after: Mode) -> None:
    allowed = CONTRACT[before] + " lan-only island" if before in CONTRACT else LOCAL[before]
    state = ModeState(mode=before, site="dc1", epoch=4)

    if after in allowed.split():
        assert transition(state, after, "dc2").mode is after
    else:
        with pytest.raises(IllegalModeError, match="possible: "):
            transition(state, after, "dc2")


def test_no_failover_follows_another_directly_and_no_mode_follows_itself() -> None:
    for mode, site in [(Mode.FAILOVER, "dc2"), (Mode.FAILOVER, "dc1")]:
        with pytest.raises(IllegalModeError, match="failover of dc1 cannot become failover of"):
            transition(ModeState(mode=Mode.FAILOVER, site="dc1"), mode, site)
    with pytest.raises(IllegalModeError):
        transition(ModeState(mode=Mode.RECOVERING, site="dc1"), Mode.RECOVERING, "dc1")


def test_the_fleets_epoch_rises_with_every_change_and_a_lans_own_view_leaves_it() -> None:
    """A LAN that counted epochs by itself could get past a fence."""
    normal = ModeState(epoch=7)

    assert transition(normal, Mode.MINIMAL).epoch == 8
    assert transition(normal, Mode.LAN_ONLY).epoch == 7
    assert transition(ModeState(mode=Mode.ISLAND, site="dc1", epoch=7), Mode.NORMAL).epoch == 7


def test_every_mode_of_the_fleet_leads_back_to_normal() -> None:
    reached = {Mode.NORMAL}
    while True:
        more = {mode for mode, then in TRANSITIONS.items() if then & reached} - reached
        if not more:
            break
        reached |= more
    assert reached == set(Mode)


KINDS = {"dc1": Kind.UP, "dc2": Kind.UP}
LOST_1 = {"dc1": Kind.DOWN, "dc2": Kind.UP}
LOST_2 = {"dc1": Kind.UP, "dc2": Kind.DOWN}
IN_FAILOVER_1 = ModeState(mode=Mode.FAILOVER, site="dc1", epoch=1)
IN_MINIMAL = ModeState(mode=Mode.MINIMAL, epoch=1)
BACK_1 = ModeState(mode=Mode.RECOVERING, site="dc1", epoch=1)
DONE_1 = {"dc1": Stage.DONE}
STEPS: list[tuple[str, ModeState, Evidence, str, str]] = [
    ("calm", ModeState(), CALM, "normal", "every site is there"),
    ("loss", ModeState(), replace(CALM, kinds=LOST_1), "failover dc1", "two sites agree"),
    (
        "loss-while-anothers-lease-lives",
        ModeState(),
        replace(CALM, kinds=LOST_1, lease_free=False, lease_down="dc2"),
        "normal",
        "lease for dc2 is not free",
    ),
    (
        "loss-and-the-lease-is-its-own",
        ModeState(),
        replace(CALM, kinds=LOST_1, lease_free=False, lease_down="dc1"),
        "failover dc1",
        "down",
    ),
    ("still-lost", IN_FAILOVER_1, replace(CALM, kinds=LOST_1), "failover dc1", "still down"),
    ("other-lost", IN_FAILOVER_1, replace(CALM, kinds=LOST_2), "recovering dc1", "heard again"),
    ("heard-again", IN_FAILOVER_1, CALM, "recovering dc1", "heard again"),
    (
        "hardly-heard",
        IN_FAILOVER_1,
        replace(CALM, kinds=KINDS | {"dc1": Kind.SUSPECT}),
        "failover dc1",
        "not heard well enough",
    ),
    ("nothing-left-to-recover", BACK_1, CALM, "normal", "every site"),
    (
        "going-on",
        BACK_1,
        replace(CALM, recovering={"dc1": Stage.RAMP_50}),
        "recovering dc1",
        "ramp-50",
    ),
    ("recovered", BACK_1, replace(CALM, recovering=DONE_1), "normal", "every site"),
    (
        "recovered-before-the-lease-ends",
        BACK_1,
        replace(CALM, recovering=DONE_1, lease_free=False, lease_down="dc1"),
        "recovering dc1",
        "lease for dc1 is not free",
    ),
    ("lost-again", BACK_1, replace(CALM, kinds=LOST_1), "failover dc1", "two sites agree"),
    ("one-back-other-lost", BACK_1, replace(CALM, kinds=LOST_2), "failover dc2", "agree"),
    (
        "one-after-the-other",
        BACK_1,
        replace(CALM, recovering=DONE_1 | {"dc2": Stage.CANARY}),
        "recovering dc2",
        "canary",
    ),
    (
        "silence-begins",
        ModeState(),
        replace(CALM, alone_s=29.9),
        "normal",
        "minimal mode at 30 s",
    ),
    ("silence", ModeState(), replace(CALM, alone_s=30.0), "minimal", "nobody was heard for 30 s"),
    ("silence-in-failover", IN_FAILOVER_1, replace(CALM, alone_s=31.0), "minimal", "nobody"),
    ("heard-after-silence", IN_MINIMAL, CALM, "normal", "every site"),
    (
        "one-heard-after-silence",
        IN_MINIMAL,
        replace(CALM, kinds=KINDS | {"dc2": Kind.SUSPECT}),
        "minimal",
        "not decided yet whether dc2",
    ),
    ("planned", ModeState(), replace(CALM, maintained=frozenset({"dc2"})), "maintenance dc2", ""),
    (
        "plan-ends",
        ModeState(mode=Mode.MAINTENANCE, site="dc2"),
        CALM,
        "normal",
        "",
    ),
    (
        "loss-during-plan",
        ModeState(mode=Mode.MAINTENANCE, site="dc2"),
        replace(CALM, kinds=LOST_1, maintained=frozenset({"dc2"})),
        "failover dc1",
        "",
    ),
    (
        "a-persons-word",
        IN_MINIMAL,
        replace(CALM, alone_s=99.0, asserted_down=frozenset({"dc2", "dc1"})),
        "override",
        "a person asserts that dc1, dc2 is down",
    ),
    (
        "the-word-runs-out",
        ModeState(mode=Mode.OVERRIDE),
        replace(CALM, alone_s=99.0),
        "minimal",
        "nobody",
    ),
]


@pytest.mark.parametrize(
    ("state", "evidence", "becomes", "says"), [s[1:] for s in STEPS], ids=[s[0] for s in STEPS]
)
def test_the_control_planes_next_mode(
    state: ModeState, evidence: Evidence, becomes: str, says: str
) -> None:
    after, reason = next_mode(state, evidence)

    assert f"{after.mode} {after.site}".strip() == becomes
    assert says in reason
    moved = (after.mode, after.site) != (state.mode, state.site)
    assert after.epoch == state.epoch + moved
    assert broken_invariants(state, after, evidence) == ()


AT_DC1 = Evidence(me="dc1", control="dc3", kinds={"dc2": Kind.UP, "dc3": Kind.UP})
LAN_STEPS: list[tuple[str, ModeState, Evidence, str]] = [
    ("control-heard", ModeState(), AT_DC1, "normal"),
    ("a-lan-lost", ModeState(), replace(AT_DC1, kinds={"dc2": Kind.DOWN}), "normal"),
    ("control-lost", ModeState(), replace(AT_DC1, kinds={"dc3": Kind.DOWN}), "lan-only"),
    ("control-suspect", ModeState(), replace(AT_DC1, kinds={"dc3": Kind.SUSPECT}), "normal"),
    ("alone", IN_FAILOVER_1, replace(AT_DC1, alone_s=30.0), "island dc1"),
    ("alone-a-moment", ModeState(), replace(AT_DC1, alone_s=9.0), "normal"),
    (
        "other-lan-heard",
        ModeState(mode=Mode.ISLAND, site="dc1"),
        replace(AT_DC1, kinds={"dc2": Kind.UP, "dc3": Kind.DOWN}),
        "lan-only",
    ),
    ("all-heard", ModeState(mode=Mode.ISLAND, site="dc1"), AT_DC1, "normal"),
    ("control-back", ModeState(mode=Mode.LAN_ONLY), AT_DC1, "normal"),
    (
        "control-hardly-back",
        ModeState(mode=Mode.LAN_ONLY),
        replace(AT_DC1, kinds={"dc3": Kind.SUSPECT}),
        "lan-only",
    ),
]


@pytest.mark.parametrize(
    ("state", "evidence", "becomes"), [s[1:] for s in LAN_STEPS], ids=[s[0] for s in LAN_STEPS]
)
def test_a_lan_says_only_whom_it_has_lost(
    state: ModeState, evidence: Evidence, becomes: str
) -> None:
    after, reason = next_mode(state, evidence)

    assert f"{after.mode} {after.site}".strip() == becomes
    assert after.epoch == state.epoch
    assert reason
    assert broken_invariants(state, after, evidence) == ()


@pytest.mark.parametrize(
    ("before", "after", "evidence", "says"),
    [
        (ModeState(), ModeState(mode=Mode.MINIMAL), replace(CALM, alone_s=60.0), "did not rise"),
        (
            IN_FAILOVER_1,
            ModeState(mode=Mode.FAILOVER, site="dc2", epoch=2),
            replace(CALM, kinds=LOST_2),
            "failover was followed by failover",
        ),
        (
            BACK_1,
            ModeState(mode=Mode.FAILOVER, site="dc2", epoch=2),
            replace(CALM, kinds=LOST_2, lease_free=False, lease_down="dc1"),
            "while a lease for dc1",
        ),
        (
            ModeState(),
            ModeState(mode=Mode.FAILOVER, site="dc1", epoch=2),
            CALM,
            "which was not found down",
        ),
        (ModeState(), ModeState(mode=Mode.MINIMAL, epoch=1), CALM, "somebody was heard lately"),
        (ModeState(), ModeState(), replace(CALM, alone_s=31.0), "although nobody was heard"),
        (
            BACK_1,
            ModeState(epoch=2),
            replace(CALM, lease_free=False, lease_down="dc1"),
            "a lease may still be in use",
        ),
    ],
)
def test_each_invariant_is_noticed_when_it_breaks(
    before: ModeState, after: ModeState, evidence: Evidence, says: str
) -> None:
    assert any(says in sentence for sentence in broken_invariants(before, after, evidence))


kinds_of_any_kind: st.SearchStrategy[Mapping[str, Kind]] = st.fixed_dictionaries(
    {site: st.sampled_from(Kind) for site in SITES}
)
evidence_of_any_kind = st.builds(
    Evidence,
    me=st.just("dc3"),
    control=st.just("dc3"),
    kinds=kinds_of_any_kind,
    alone_s=st.sampled_from([0.0, 10.0, 45.0]),
    lease_free=st.booleans(),
    lease_down=st.sampled_from(["dc1", "dc2"]),
    recovering=st.dictionaries(st.sampled_from(["dc1", "dc2"]), st.sampled_from(Stage)),
    maintained=st.frozensets(st.sampled_from(["dc1", "dc2"]), max_size=1),
    asserted_down=st.frozensets(st.sampled_from(["dc1", "dc2"]), max_size=2),
)


@given(st.lists(evidence_of_any_kind, max_size=30))
def test_in_any_order_of_events_every_step_keeps_the_invariants_and_healing_ends_it(
    events: list[Evidence],
) -> None:
    state = ModeState()
    for evidence in events:
        before = state
        if before.mode is Mode.FAILOVER and not evidence.lease_free:
            # The grantor gives no lease for another site than the one that the mode is about.
            evidence = replace(evidence, lease_down=before.site)
        state, _ = next_mode(state, evidence)
        assert broken_invariants(before, state, evidence) == ()
    for _ in range(len(Stage) + len(FLEET_MODES)):
        state, _ = next_mode(state, replace(CALM, recovering=dict.fromkeys(KINDS, Stage.DONE)))
    assert state.mode is Mode.NORMAL
