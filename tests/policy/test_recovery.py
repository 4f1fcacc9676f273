"""How a lost site comes back: each stage, what holds it, what throws it back."""

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.policy.recovery import (
    NEEDS_STANDBY,
    ORDER,
    Facts,
    Recovery,
    Stage,
    advance,
    share,
    stepped_back,
)
from fleet.policy.timing import TIMING

FIT = Facts(
    clock_offset_s=0.2,
    version_ok=True,
    epoch_ok=True,
    replica_ok_for_s=10.0,
    unsent_entries=0,
    open_attempts_unresolved=0,
    canaries_done=5,
    canaries_failed=0,
    error_share=0.0,
    p95_ratio=1.0,
    may_return=True,
)
SINCE_S = 100.0
LONG_AFTER_S = 1000.0
UNFIT: list[dict[str, Any]] = [
    {"clock_offset_s": 1.0},
    {"clock_offset_s": -60.0},
    {"clock_offset_s": float("nan")},
    {"version_ok": False},
]
STRAINED: list[dict[str, Any]] = [
    {"error_share": 0.011},
    {"error_share": float("nan")},
    {"p95_ratio": 1.51},
]
RAMPS = [Stage.RAMP_25, Stage.RAMP_50, Stage.RAMP_100, Stage.COOL_DOWN]


def step(stage: Stage, now_s: float = LONG_AFTER_S, **changed: Any) -> tuple[Stage, str]:
    recovery, reason = advance(
        Recovery(stage=stage, since_s=SINCE_S), replace(FIT, **changed), now_s
    )
    return recovery.stage, reason


@pytest.mark.parametrize(("stage", "then"), list(itertools.pairwise(ORDER)))
def test_a_fit_site_passes_every_stage_in_order(stage: Stage, then: Stage) -> None:
    assert step(stage)[0] is then


def test_a_recovered_site_stays_recovered() -> None:
    assert step(Stage.DONE, version_ok=False, error_share=1.0) == (Stage.DONE, "recovered")


@pytest.mark.parametrize("stage", ORDER[:-1])
@pytest.mark.parametrize("facts", UNFIT, ids=str)
def test_an_unfit_site_starts_over_from_any_stage(stage: Stage, facts: dict[str, Any]) -> None:
    assert step(stage, **facts)[0] is Stage.CATCH_UP


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"replica_ok_for_s": None}, "does not follow"),
        ({"replica_ok_for_s": 9.9}, "followed for 10 s only"),
        ({"unsent_entries": 3}, "3 journal entries"),
        ({"open_attempts_unresolved": 2}, "2 open attempts"),
        ({"may_return": False}, "damping"),
    ],
)
def test_catching_up_waits_and_says_for_what(facts: dict[str, Any], says: str) -> None:
    stage, reason = step(Stage.CATCH_UP, **facts)

    assert stage is Stage.CATCH_UP
    assert says in reason


def test_canaries_are_all_waited_for_and_one_failure_starts_over() -> None:
    assert step(Stage.CANARY, canaries_done=4) == (Stage.CANARY, "4 of 5 canaries done")
    assert step(Stage.CANARY, canaries_failed=1)[0] is Stage.CATCH_UP


@pytest.mark.parametrize("stage", RAMPS)
@pytest.mark.parametrize("facts", STRAINED, ids=str)
def test_a_strained_site_takes_one_step_back(stage: Stage, facts: dict[str, Any]) -> None:
    assert step(stage, **facts)[0] is ORDER[ORDER.index(stage) - 1]


@pytest.mark.parametrize("stage", RAMPS)
def test_a_damped_site_goes_no_further(stage: Stage) -> None:
    assert step(stage, may_return=False)[0] is stage


@pytest.mark.parametrize("stage", RAMPS)
def test_each_ramp_is_held_for_its_time(stage: Stage) -> None:
    wait_s = TIMING.cool_down_s if stage is Stage.COOL_DOWN else TIMING.ramp_step_s

    assert step(stage, SINCE_S + wait_s - 0.1)[0] is stage
    assert step(stage, SINCE_S + wait_s)[0] is not stage


def test_the_share_only_rises_along_the_stages_and_the_standby_goes_at_full_share() -> None:
    shares = [share(stage) for stage in ORDER]

    assert shares == sorted(shares)
    assert [share(s) for s in ORDER[:3]] == [0.0, 0.0, 0.25]
    assert {s for s in ORDER if s not in NEEDS_STANDBY} == {Stage.COOL_DOWN, Stage.DONE}


def test_only_a_loss_of_ground_counts_as_a_step_back() -> None:
    here = Recovery(stage=Stage.RAMP_50)

    assert stepped_back(here, replace(here, stage=Stage.RAMP_25))
    assert not stepped_back(here, here)
    assert not stepped_back(here, replace(here, stage=Stage.RAMP_100))


facts_of_any_kind = st.builds(
    Facts,
    clock_offset_s=st.sampled_from([0.0, 5.0]),
    version_ok=st.booleans(),
    epoch_ok=st.booleans(),
    replica_ok_for_s=st.sampled_from([None, 3.0, 30.0]),
    unsent_entries=st.integers(0, 1),
    open_attempts_unresolved=st.integers(0, 1),
    canaries_done=st.integers(0, 6),
    canaries_failed=st.integers(0, 1),
    error_share=st.sampled_from([0.0, 0.5]),
    p95_ratio=st.sampled_from([1.0, 9.0]),
    may_return=st.booleans(),
)


@given(st.sampled_from(ORDER), st.lists(facts_of_any_kind, max_size=30))
def test_interrupted_anywhere_it_converges_within_eight_minutes(
    stage: Stage, trouble: list[Facts]
) -> None:
    """Whatever happened before, a site that stays fit is back in time, step by step upwards."""
    recovery, now_s = Recovery(stage=stage), 0.0
    for facts in trouble:
        now_s += 7.0
        before = recovery
        recovery, reason = advance(recovery, facts, now_s)
        assert reason
        assert ORDER.index(recovery.stage) <= ORDER.index(before.stage) + 1
    healed_s = now_s
    while recovery.stage is not Stage.DONE:
        recovery, _ = advance(recovery, FIT, now_s)
        now_s += 1.0
    assert now_s - healed_s <= 8 * 60
