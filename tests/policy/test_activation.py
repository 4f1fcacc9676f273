"""The standby machine: every state, wanted or not, and that it gets where it should."""

import pytest

from fleet.policy.activation import Act, Machine, step

#: State -> what to do when it is needed, and when it is not. Written from the contract.
CONTRACT = {
    "absent": ("none", "none"),
    "created": ("start", "none"),
    "starting": ("wait", "wait"),
    "started": ("none", "suspend"),
    "stopping": ("wait", "wait"),
    "stopped": ("start", "none"),
    "suspending": ("wait", "wait"),
    "suspended": ("start", "none"),
    "failed": ("start", "none"),
    "unknown": ("wait", "wait"),
}
#: What a provider makes of a call, or of waiting.
PROVIDER = {
    (Machine.CREATED, Act.START): Machine.STARTING,
    (Machine.STOPPED, Act.START): Machine.STARTING,
    (Machine.SUSPENDED, Act.START): Machine.STARTING,
    (Machine.FAILED, Act.START): Machine.STARTING,
    (Machine.STARTING, Act.WAIT): Machine.STARTED,
    (Machine.STARTED, Act.SUSPEND): Machine.SUSPENDING,
    (Machine.SUSPENDING, Act.WAIT): Machine.SUSPENDED,
    (Machine.STOPPING, Act.WAIT): Machine.STOPPED,
    (Machine.UNKNOWN, Act.WAIT): Machine.STOPPED,
}


@pytest.mark.parametrize("machine", Machine)
@pytest.mark.parametrize(
    ("lease_live", "prewarm", "column"),
    [(True, False, 0), (True, True, 0), (False, True, 0), (False, False, 1)],
    ids=["leased", "leased-and-suspected", "suspected", "calm"],
)
def test_every_state_has_its_deed(
    machine: Machine, lease_live: bool, prewarm: bool, column: int
) -> None:
    deed = step(machine, lease_live=lease_live, prewarm=prewarm, since_s=1.0)

    assert deed.act == CONTRACT[machine][column]
    assert deed.reason


@pytest.mark.parametrize("machine", [Machine.STARTING, Machine.STOPPING, Machine.SUSPENDING])
@pytest.mark.parametrize("lease_live", [False, True])
def test_a_machine_stuck_between_two_states_is_stopped(machine: Machine, lease_live: bool) -> None:
    def act(since_s: float) -> Act:
        return step(machine, lease_live=lease_live, prewarm=False, since_s=since_s).act

    assert (act(29.9), act(30.0)) == (Act.WAIT, Act.STOP)


def test_tasks_that_run_finish_before_the_machine_sleeps() -> None:
    deed = step(Machine.STARTED, lease_live=False, prewarm=False, since_s=9.0, busy=2)

    assert deed.act is Act.WAIT
    assert "2 tasks finish first" in deed.reason


def test_a_missing_machine_is_said_in_words_that_help() -> None:
    deed = step(Machine.ABSENT, lease_live=True, prewarm=False, since_s=0.0)

    assert "create it and enter its id" in deed.reason


@pytest.mark.parametrize("machine", sorted(set(Machine) - {Machine.ABSENT}))
@pytest.mark.parametrize(("wanted", "ends"), [(True, {"started"}), (False, set())])
def test_from_any_state_it_gets_where_it_should_and_rests(
    machine: Machine, wanted: bool, ends: set[str]
) -> None:
    for _ in range(5):
        act = step(machine, lease_live=wanted, prewarm=False, since_s=1.0).act
        machine = PROVIDER.get((machine, act), machine)
    assert step(machine, lease_live=wanted, prewarm=False, since_s=1.0).act is Act.NONE
    assert machine in (ends or {"created", "stopped", "suspended", "failed"})
