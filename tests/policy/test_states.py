"""The table of a run's states, written down a second time from the contract."""

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.policy.states import (
    ATTEMPT_AFTER,
    FINISHED,
    OPEN_ATTEMPTS,
    TRANSITIONS,
    UNFINISHED,
    AttemptStatus,
    IllegalTransitionError,
    RunEvent,
    RunStatus,
    advance,
    diagram,
    statuses_before,
)

#: What may happen in each status, and what comes of it. Everything else is illegal.
CONTRACT = {
    "READY": {"claim": "RUNNING", "cancel": "CANCELLED", "expire": "CANCELLED", "bury": "DEAD"},
    "RUNNING": {
        "succeed": "SUCCESSFUL",
        "fail": "FAILED",
        "retry later": "READY",
        "lose": "READY",
        "bury": "DEAD",
        "cancel": "CANCELLED",
    },
    "SUCCESSFUL": {},
    "FAILED": {"retry": "READY"},
    "CANCELLED": {"retry": "READY"},
    "DEAD": {"retry": "READY"},
}
EVERY_STEP = list(itertools.product(RunStatus, RunEvent))


@pytest.mark.parametrize(("status", "event"), EVERY_STEP, ids=lambda x: str(x).replace(" ", "-"))
def test_every_status_answers_every_event_as_the_contract_says(
    status: RunStatus, event: RunEvent
) -> None:
    after = CONTRACT[status].get(event)
    if after is None:
        with pytest.raises(IllegalTransitionError) as refused:
            advance(status, event)
        assert (refused.value.status, refused.value.event) == (status, event)
        assert str(status) in str(refused.value)
        assert all(possible in str(refused.value) for possible in CONTRACT[status])
    else:
        assert advance(status, event) is RunStatus(after)


@pytest.mark.parametrize("event", RunEvent)
def test_the_compare_part_names_exactly_the_statuses_in_which_the_event_is_possible(
    event: RunEvent,
) -> None:
    assert statuses_before(event) == {s for s in RunStatus if event in CONTRACT[s]}
    assert statuses_before(event)


def test_every_status_can_be_reached_from_an_accepted_run() -> None:
    reached, frontier = {RunStatus.READY}, {RunStatus.READY}
    while frontier:
        frontier = {after for (before, _), after in TRANSITIONS.items() if before in frontier}
        frontier -= reached
        reached |= frontier
    assert reached == set(RunStatus)


def test_a_finished_run_is_left_by_retry_only_and_a_successful_one_never() -> None:
    leaving = {(before, event) for before, event in TRANSITIONS if before in FINISHED}
    assert {event for _, event in leaving} == {RunEvent.RETRY}
    assert RunStatus.SUCCESSFUL not in {before for before, _ in leaving}
    assert frozenset(RunStatus) == FINISHED | UNFINISHED
    assert not FINISHED & UNFINISHED


@given(st.lists(st.sampled_from(RunEvent)))
def test_an_illegal_event_leaves_the_status_whatever_came_before(events: list[RunEvent]) -> None:
    status = RunStatus.READY
    for event in events:
        before = status
        with contextlib.suppress(IllegalTransitionError):
            status = advance(status, event)
        assert status == CONTRACT[before].get(event, before)


def test_every_event_that_ends_a_claim_or_a_run_ends_the_attempt() -> None:
    for (_, event), after in TRANSITIONS.items():
        if event is RunEvent.RETRY:
            assert event not in ATTEMPT_AFTER
        elif after is RunStatus.RUNNING:
            assert ATTEMPT_AFTER[event] is AttemptStatus.RUNNING
        else:
            assert ATTEMPT_AFTER[event] not in OPEN_ATTEMPTS


def test_the_diagram_draws_each_step_once() -> None:
    drawn = diagram().splitlines()
    for (before, event), after in TRANSITIONS.items():
        assert drawn.count(f"    {before} --> {after}: {event}") == 1
    assert len(drawn) == 2 + len(TRANSITIONS) + len(FINISHED)
