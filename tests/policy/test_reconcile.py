"""What is done about an attempt under way: a table, and what must never be decided."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.policy.liveness import CLAIM_LEASE_S
from fleet.policy.reconcile import (
    LEASE_GRACE_S,
    MISSING_AFTER_S,
    MISSING_AT_MOST_S,
    UNMARKED_AFTER_S,
    Action,
    Observed,
    decide,
)
from fleet.policy.states import OPEN_ATTEMPTS, AttemptStatus

CREATED, PUBLISHED, RUNNING = AttemptStatus.CREATED, AttemptStatus.PUBLISHED, AttemptStatus.RUNNING
LEAVE, AGAIN, LOSE = Action.LEAVE, Action.PUBLISH_AGAIN, Action.LOSE
OVER_S = CLAIM_LEASE_S + LEASE_GRACE_S

TABLE = [
    # status, seconds since published, times, seconds since seen, in the broker: decision
    (CREATED, 0.0, 0, None, False, LEAVE),
    (CREATED, UNMARKED_AFTER_S, 0, None, False, AGAIN),
    (CREATED, UNMARKED_AFTER_S, 0, None, True, LEAVE),
    (CREATED, 3600.0, 0, None, None, LEAVE),
    (PUBLISHED, MISSING_AFTER_S - 0.1, 1, None, False, LEAVE),
    (PUBLISHED, MISSING_AFTER_S, 1, None, False, AGAIN),
    (PUBLISHED, 3600.0, 1, None, True, LEAVE),
    (PUBLISHED, 3600.0, 1, None, None, LEAVE),
    (PUBLISHED, 2 * MISSING_AFTER_S - 0.1, 2, None, False, LEAVE),
    (PUBLISHED, 2 * MISSING_AFTER_S, 2, None, False, AGAIN),
    (PUBLISHED, MISSING_AT_MOST_S - 0.1, 1000, None, False, LEAVE),
    (PUBLISHED, MISSING_AT_MOST_S, 1000, None, False, AGAIN),
    (RUNNING, 3600.0, 1, 0.0, False, LEAVE),
    (RUNNING, 3600.0, 1, OVER_S, False, LEAVE),
    (RUNNING, 3600.0, 1, OVER_S + 0.1, False, LOSE),
    (RUNNING, 3600.0, 1, OVER_S + 0.1, None, LOSE),
    (RUNNING, 0.0, 1, None, None, LEAVE),
    (RUNNING, OVER_S + 0.1, 1, None, None, LOSE),
]


def observed(
    status: AttemptStatus, published_s: float, times: int, seen_s: float | None, there: bool | None
) -> Observed:
    return Observed(
        status=status,
        published_age_s=published_s,
        times_published=times,
        seen_age_s=seen_s,
        in_broker=there,
    )


@pytest.mark.parametrize(("status", "published_s", "times", "seen_s", "there", "action"), TABLE)
def test_an_attempt_under_way_is_treated_as_the_table_says(
    status: AttemptStatus,
    published_s: float,
    times: int,
    seen_s: float | None,
    there: bool | None,
    action: Action,
) -> None:
    decision = decide(observed(status, published_s, times, seen_s, there))
    assert decision.action is action
    assert decision.reason


anything = st.builds(
    observed,
    st.sampled_from(sorted(OPEN_ATTEMPTS)),
    st.floats(0, 1e6),
    st.integers(0, 100),
    st.none() | st.floats(0, 1e6),
    st.sampled_from([True, False, None]),
)


@given(anything)
def test_only_a_silent_running_attempt_is_lost(attempt: Observed) -> None:
    if decide(attempt).action is LOSE:
        assert attempt.status is RUNNING
        silent_s = attempt.published_age_s if attempt.seen_age_s is None else attempt.seen_age_s
        assert silent_s > CLAIM_LEASE_S


@given(anything)
def test_only_what_is_surely_not_in_the_broker_is_published_again(attempt: Observed) -> None:
    if decide(attempt).action is AGAIN:
        assert attempt.in_broker is False
        assert attempt.status is not RUNNING
        assert attempt.published_age_s >= UNMARKED_AFTER_S


@given(anything)
def test_nothing_is_forgotten_for_ever(attempt: Observed) -> None:
    """Whatever is neither in the broker nor worked on is taken up again in the end."""
    if attempt.in_broker is False:
        later = observed(attempt.status, 1e9, attempt.times_published, 1e9, False)
        assert decide(later).action is (LOSE if attempt.status is RUNNING else AGAIN)
