"""What follows a failed or a lost attempt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.policy.contracts import TaskContract
from fleet.policy.effects import (
    TAKES_EFFECT_ONCE,
    AfterLoss,
    EffectClass,
    after_lost_attempt,
)
from fleet.policy.retry import after_failure, backoff_s
from fleet.policy.states import RunEvent

REPEATABLE = [EffectClass.A, EffectClass.B, EffectClass.C]
jitters = st.floats(0, 1)
attempts_made = st.integers(1, 200)


def contract(effect: EffectClass = EffectClass.A, **fields: float) -> TaskContract:
    return TaskContract(name="dev.x", capability="dev", effect=effect, **fields)  # type: ignore[arg-type]


contracts = st.builds(
    contract,
    st.sampled_from(REPEATABLE),
    backoff_s=st.floats(0.01, 60),
    backoff_max_s=st.floats(60, 3600),
    max_attempts=st.integers(1, 50),
)


@pytest.mark.parametrize(
    ("effect", "attempts", "allowed", "action"),
    [
        (EffectClass.A, 1, 3, AfterLoss.NEXT_ATTEMPT),
        (EffectClass.B, 2, 3, AfterLoss.NEXT_ATTEMPT),
        (EffectClass.C, 2, 3, AfterLoss.NEXT_ATTEMPT),
        (EffectClass.A, 3, 3, AfterLoss.PERSON_DECIDES),
        (EffectClass.B, 4, 3, AfterLoss.PERSON_DECIDES),
        (EffectClass.C, 1, 1, AfterLoss.PERSON_DECIDES),
        (EffectClass.D, 1, 3, AfterLoss.PERSON_DECIDES),
        (EffectClass.D, 1, 1, AfterLoss.PERSON_DECIDES),
    ],
)
def test_a_lost_attempt_is_followed_as_its_effect_class_allows(
    effect: EffectClass, attempts: int, allowed: int, action: AfterLoss
) -> None:
    decision = after_lost_attempt(effect, attempts, allowed)
    assert decision.action is action
    assert decision.reason


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_class_d_is_never_started_again_by_the_machine(attempts: int, allowed: int) -> None:
    assert after_lost_attempt(EffectClass.D, attempts, allowed).action is AfterLoss.PERSON_DECIDES
    for asked in (None, 1.0):
        decision = after_failure(
            contract(EffectClass.D, max_attempts=allowed),
            attempts,
            transient=True,
            jitter=0.5,
            asked_delay_s=asked,
        )
        assert decision.event is RunEvent.FAIL


def test_taking_effect_once_is_promised_for_all_classes_but_d() -> None:
    assert frozenset(REPEATABLE) == TAKES_EFFECT_ONCE


@given(contracts, attempts_made, jitters)
def test_the_delay_stays_between_half_the_ceiling_and_the_ceiling(
    declared: TaskContract, attempts: int, jitter: float
) -> None:
    low, high = backoff_s(declared, attempts, 0.0), backoff_s(declared, attempts, 1.0)
    delay_s = backoff_s(declared, attempts, jitter)
    assert low <= delay_s <= high
    assert low == pytest.approx(high / 2)
    assert 0 < high <= declared.backoff_max_s


@given(contracts, attempts_made)
def test_the_ceiling_doubles_until_it_is_reached_and_never_falls(
    declared: TaskContract, attempts: int
) -> None:
    here, following = (backoff_s(declared, n, 1.0) for n in (attempts, attempts + 1))
    assert here <= following
    assert following == pytest.approx(min(2 * here, declared.backoff_max_s))
    assert backoff_s(declared, 1, 1.0) == pytest.approx(declared.backoff_s)


@given(contracts, attempts_made, jitters, st.booleans(), st.none() | st.floats(0, 1e6))
def test_only_a_transient_error_with_attempts_left_is_tried_again(
    declared: TaskContract, attempts: int, jitter: float, transient: bool, asked_s: float | None
) -> None:
    decision = after_failure(
        declared, attempts, transient=transient, jitter=jitter, asked_delay_s=asked_s
    )
    if transient and attempts < declared.max_attempts:
        assert decision.event is RunEvent.RETRY_LATER
        expected_s = backoff_s(declared, attempts, jitter) if asked_s is None else asked_s
        assert decision.delay_s == expected_s
    else:
        assert decision.event is RunEvent.FAIL
        assert decision.delay_s == 0
    assert decision.reason
