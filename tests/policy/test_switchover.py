"""The planned move of the broker: in order, with nothing unreplicated, and it always resumes."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.policy.switchover import FINISHED, PAUSED, Facts, Step, next_step


def test_the_steps_of_a_move_that_works() -> None:
    seen = [Step.PAUSE_RELAY]
    for facts in (
        Facts(done=True),
        Facts(offset_equal=True, elapsed_s=0.4),
        Facts(offset_equal=True, done=True),
        Facts(new_master_seen=True, elapsed_s=1.1),
        Facts(done=True),
    ):
        seen.append(next_step(seen[-1], facts)[0])

    assert seen == ["pause-relay", "wait-offset", "move", "await-new-master", "resume", "done"]


@pytest.mark.parametrize(
    ("step", "facts", "then", "says"),
    [
        (Step.PAUSE_RELAY, Facts(), Step.PAUSE_RELAY, "has to pause"),
        (Step.PAUSE_RELAY, Facts(failed="locked"), Step.ABORT, "locked"),
        (Step.WAIT_OFFSET, Facts(elapsed_s=4.9), Step.WAIT_OFFSET, "catches up"),
        (Step.WAIT_OFFSET, Facts(elapsed_s=5.0), Step.ABORT, "did not catch up in 5 s"),
        (Step.WAIT_OFFSET, Facts(failed="no answer"), Step.ABORT, "no answer"),
        (Step.MOVE, Facts(offset_equal=True), Step.MOVE, "has to be told"),
        (Step.MOVE, Facts(), Step.WAIT_OFFSET, "wrote in between"),
        (Step.MOVE, Facts(failed="NOGOODSLAVE", offset_equal=True), Step.ABORT, "NOGOODSLAVE"),
        (Step.AWAIT_NEW_MASTER, Facts(elapsed_s=19.9), Step.AWAIT_NEW_MASTER, "moves"),
        (Step.AWAIT_NEW_MASTER, Facts(elapsed_s=20.0), Step.ABORT, "no new master"),
        (Step.RESUME, Facts(), Step.RESUME, "has to go on"),
        (Step.RESUME, Facts(failed="no answer"), Step.RESUME, "has to go on"),
        (Step.ABORT, Facts(), Step.ABORT, "has to go on"),
        (Step.ABORT, Facts(done=True), Step.ABORTED, "not moved"),
        (Step.DONE, Facts(done=True), Step.DONE, "moved"),
        (Step.ABORTED, Facts(done=True), Step.ABORTED, "not moved"),
    ],
)
def test_each_step_waits_goes_on_or_gives_up(
    step: Step, facts: Facts, then: Step, says: str
) -> None:
    got, reason = next_step(step, facts)

    assert got is then
    assert says in reason


any_facts = st.builds(
    Facts,
    done=st.booleans(),
    offset_equal=st.booleans(),
    new_master_seen=st.booleans(),
    elapsed_s=st.floats(0, 60),
    failed=st.sampled_from(["", "no answer"]),
)


@given(st.lists(any_facts, max_size=40))
def test_it_never_moves_without_equal_offsets_and_never_leaves_the_relay_paused(
    observed: list[Facts],
) -> None:
    path = [Step.PAUSE_RELAY]
    for facts in observed:
        path.append(next_step(path[-1], facts)[0])
        if path[-1] is Step.MOVE and path[-2] is not Step.MOVE:
            assert facts.offset_equal
    for before, after in itertools.pairwise(path):
        assert not (before in PAUSED and after in FINISHED), "finished without resuming"


@pytest.mark.parametrize("step", Step)
def test_from_any_step_it_ends_when_nothing_good_happens_any_more(step: Step) -> None:
    for _ in range(6):
        step, _reason = next_step(step, Facts(done=True, elapsed_s=60.0))
    assert step in FINISHED
