"""All states and transitions of a run, as one table.

The names of the statuses are those of `django.tasks`, with CANCELLED and DEAD added.
`docs/protocol.md` draws its diagram from `TRANSITIONS`.
"""

from enum import StrEnum


class RunStatus(StrEnum):
    READY = "READY"  # accepted; waits in the ledger or in the broker
    RUNNING = "RUNNING"  # a worker has claimed the current attempt
    SUCCESSFUL = "SUCCESSFUL"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    DEAD = "DEAD"  # needs a person


class RunEvent(StrEnum):
    """What happens to a run."""

    CLAIM = "claim"
    SUCCEED = "succeed"
    FAIL = "fail"
    RETRY_LATER = "retry later"
    LOSE = "lose"
    BURY = "bury"
    CANCEL = "cancel"
    EXPIRE = "expire"
    RETRY = "retry"


TRANSITIONS: dict[tuple[RunStatus, RunEvent], RunStatus] = {
    (RunStatus.READY, RunEvent.CLAIM): RunStatus.RUNNING,
    (RunStatus.READY, RunEvent.CANCEL): RunStatus.CANCELLED,
    (RunStatus.READY, RunEvent.EXPIRE): RunStatus.CANCELLED,
    (RunStatus.READY, RunEvent.BURY): RunStatus.DEAD,
    (RunStatus.RUNNING, RunEvent.SUCCEED): RunStatus.SUCCESSFUL,
    (RunStatus.RUNNING, RunEvent.FAIL): RunStatus.FAILED,
    (RunStatus.RUNNING, RunEvent.RETRY_LATER): RunStatus.READY,
    (RunStatus.RUNNING, RunEvent.LOSE): RunStatus.READY,
    (RunStatus.RUNNING, RunEvent.BURY): RunStatus.DEAD,
    (RunStatus.RUNNING, RunEvent.CANCEL): RunStatus.CANCELLED,
    (RunStatus.FAILED, RunEvent.RETRY): RunStatus.READY,
    (RunStatus.CANCELLED, RunEvent.RETRY): RunStatus.READY,
    (RunStatus.DEAD, RunEvent.RETRY): RunStatus.READY,
}

FINISHED = frozenset({RunStatus.SUCCESSFUL, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.DEAD})
UNFINISHED = frozenset(RunStatus) - FINISHED


class AttemptStatus(StrEnum):
    """One attempt of a run; each has its own fencing token."""

    CREATED = "CREATED"  # has a token, not yet seen in the broker
    PUBLISHED = "PUBLISHED"
    RUNNING = "RUNNING"
    SUCCESSFUL = "SUCCESSFUL"
    FAILED = "FAILED"
    LOST = "LOST"  # claimed, then its worker or site went away
    VOID = "VOID"  # its run was cancelled or expired


OPEN_ATTEMPTS = frozenset({AttemptStatus.CREATED, AttemptStatus.PUBLISHED, AttemptStatus.RUNNING})

#: How the open attempt ends when its run makes a transition; absent events leave it as it is.
ATTEMPT_AFTER: dict[RunEvent, AttemptStatus] = {
    RunEvent.CLAIM: AttemptStatus.RUNNING,
    RunEvent.SUCCEED: AttemptStatus.SUCCESSFUL,
    RunEvent.FAIL: AttemptStatus.FAILED,
    RunEvent.RETRY_LATER: AttemptStatus.FAILED,
    RunEvent.LOSE: AttemptStatus.LOST,
    RunEvent.BURY: AttemptStatus.LOST,
    RunEvent.CANCEL: AttemptStatus.VOID,
    RunEvent.EXPIRE: AttemptStatus.VOID,
}


class IllegalTransitionError(ValueError):
    """The event is not possible in this status; the status stays as it was."""

    def __init__(self, status: RunStatus, event: RunEvent) -> None:
        possible = ", ".join(sorted(e for s, e in TRANSITIONS if s is status)) or "nothing"
        super().__init__(f"a run that is {status} cannot {event}; possible: {possible}")
        self.status = status
        self.event = event


def advance(status: RunStatus, event: RunEvent) -> RunStatus:
    """The status after `event`; raises IllegalTransitionError where the table has no entry."""
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        raise IllegalTransitionError(status, event) from None


def statuses_before(event: RunEvent) -> frozenset[RunStatus]:
    """The statuses in which `event` is possible: the compare part of a compare-and-set."""
    return frozenset(status for status, e in TRANSITIONS if e is event)


def diagram() -> str:
    """The table as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2", "    [*] --> READY: enqueue"]
    lines += [f"    {a} --> {b}: {event}" for (a, event), b in TRANSITIONS.items()]
    lines += [f"    {status} --> [*]" for status in sorted(FINISHED)]
    return "\n".join(lines)
