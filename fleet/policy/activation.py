"""What to do with the standby machine, as a table of its state and of what is wanted."""

from dataclasses import dataclass
from enum import StrEnum

from fleet.policy.budget import Spent, budget
from fleet.policy.timing import TIMING, Timing

__all__ = ["Act", "Machine", "MachineDeed", "Spent", "budget", "step"]


class Machine(StrEnum):
    """The states of a machine as its provider names them; absent and unknown are ours."""

    ABSENT = "absent"  # the provider answers, and knows no such machine
    CREATED = "created"
    STARTING = "starting"
    STARTED = "started"
    STOPPING = "stopping"
    STOPPED = "stopped"
    SUSPENDING = "suspending"
    SUSPENDED = "suspended"
    FAILED = "failed"
    UNKNOWN = "unknown"  # the provider does not answer


class Act(StrEnum):
    START = "start"
    STOP = "stop"
    SUSPEND = "suspend"
    WAIT = "wait"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class MachineDeed:
    act: Act
    reason: str


class Wanted(StrEnum):
    AWAKE = "awake"
    ASLEEP = "asleep"


_TABLE: dict[tuple[Wanted, Machine], MachineDeed] = {
    (Wanted.AWAKE, Machine.ABSENT): MachineDeed(
        Act.NONE, "there is no standby machine: create it and enter its id"
    ),
    (Wanted.AWAKE, Machine.CREATED): MachineDeed(Act.START, "created, never started"),
    (Wanted.AWAKE, Machine.STARTING): MachineDeed(Act.WAIT, "starting"),
    (Wanted.AWAKE, Machine.STARTED): MachineDeed(Act.NONE, "runs"),
    (Wanted.AWAKE, Machine.STOPPING): MachineDeed(Act.WAIT, "stopping; it can start after that"),
    (Wanted.AWAKE, Machine.STOPPED): MachineDeed(Act.START, "stopped"),
    (Wanted.AWAKE, Machine.SUSPENDING): MachineDeed(Act.WAIT, "suspending; it resumes after that"),
    (Wanted.AWAKE, Machine.SUSPENDED): MachineDeed(Act.START, "suspended"),
    (Wanted.AWAKE, Machine.FAILED): MachineDeed(Act.START, "failed; one more try"),
    (Wanted.AWAKE, Machine.UNKNOWN): MachineDeed(Act.WAIT, "its provider does not answer"),
    (Wanted.ASLEEP, Machine.ABSENT): MachineDeed(
        Act.NONE, "not needed now, but there is no standby machine: create it and enter its id"
    ),
    (Wanted.ASLEEP, Machine.CREATED): MachineDeed(Act.NONE, "not needed"),
    (Wanted.ASLEEP, Machine.STARTING): MachineDeed(Act.WAIT, "starting; it is put to sleep then"),
    (Wanted.ASLEEP, Machine.STARTED): MachineDeed(Act.SUSPEND, "not needed any more"),
    (Wanted.ASLEEP, Machine.STOPPING): MachineDeed(Act.WAIT, "stopping"),
    (Wanted.ASLEEP, Machine.STOPPED): MachineDeed(Act.NONE, "not needed"),
    (Wanted.ASLEEP, Machine.SUSPENDING): MachineDeed(Act.WAIT, "suspending"),
    (Wanted.ASLEEP, Machine.SUSPENDED): MachineDeed(Act.NONE, "not needed"),
    (Wanted.ASLEEP, Machine.FAILED): MachineDeed(Act.NONE, "failed, but not needed"),
    (Wanted.ASLEEP, Machine.UNKNOWN): MachineDeed(Act.WAIT, "its provider does not answer"),
}

#: What to do about a machine that stays between two states for longer than a lease lives.
_STUCK: dict[Machine, MachineDeed] = {
    Machine.STARTING: MachineDeed(Act.STOP, "stuck while starting"),
    Machine.STOPPING: MachineDeed(Act.STOP, "stuck while stopping"),
    Machine.SUSPENDING: MachineDeed(Act.STOP, "stuck while suspending"),
}


def step(
    machine: Machine,
    *,
    lease_live: bool,
    prewarm: bool,
    since_s: float,
    busy: int = 0,
    timing: Timing = TIMING,
) -> MachineDeed:
    """The next call to the provider, or none.

    `prewarm`: a site is suspected, so a lease may follow soon. `since_s`: seconds in this state.
    `busy`: tasks that run on it; they may finish after the lease, so it is not put to sleep.
    """
    if machine in _STUCK and since_s >= timing.lease_ttl_s:
        deed = _STUCK[machine]
        return MachineDeed(deed.act, f"{deed.reason} for {since_s:.0f} s")
    deed = _TABLE[Wanted.AWAKE if lease_live or prewarm else Wanted.ASLEEP, machine]
    if deed.act is Act.SUSPEND and busy:
        return MachineDeed(Act.WAIT, f"not needed any more; {busy} tasks finish first")
    return deed
