"""The planned move of the broker, as a table of steps: nothing that was acknowledged is lost.

Sentinel's own failover on demand drops what the replica has not yet received: 18,435 of 56,668
acknowledged writes in a measured run. So the relay pauses, the replica catches up, then it moves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

#: A replica that needs longer than this has another problem; the relay does not wait for it.
OFFSET_WITHIN_S = 5.0
#: Sentinel needs 1 to 3 s; after its failover-timeout it gives up by itself.
NEW_MASTER_WITHIN_S = 20.0


class Step(StrEnum):
    PAUSE_RELAY = "pause-relay"
    WAIT_OFFSET = "wait-offset"
    MOVE = "move"
    AWAIT_NEW_MASTER = "await-new-master"
    RESUME = "resume"
    DONE = "done"
    ABORT = "abort"  # resume the relay, the master stays
    ABORTED = "aborted"


#: In these the relay must not publish.
PAUSED = frozenset({Step.WAIT_OFFSET, Step.MOVE, Step.AWAIT_NEW_MASTER})
FINISHED = frozenset({Step.DONE, Step.ABORTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is observed. `done`: the deed of this step has been carried out.

    `offset_equal`: the replica has everything that the master has, which writes nothing new.
    `new_master_seen`: two Sentinels name the new master, and it says so itself.
    `elapsed_s`: seconds since the relay paused, and in `await-new-master` since Sentinel was
    told. `failed`: why the deed cannot be done, or "".
    """

    done: bool = False
    offset_equal: bool = False
    new_master_seen: bool = False
    elapsed_s: float = 0.0
    failed: str = ""


def next_step(step: Step, facts: Facts) -> tuple[Step, str]:
    """The step to be in now, and why. Ask again after each deed and at least once a second."""
    return _NEXT[step](facts)


def _pause_relay(facts: Facts) -> tuple[Step, str]:
    if facts.failed:
        return Step.ABORT, f"the relay cannot pause: {facts.failed}"
    if facts.done:
        return Step.WAIT_OFFSET, "the relay has paused"
    return Step.PAUSE_RELAY, "the relay has to pause"


def _wait_offset(facts: Facts) -> tuple[Step, str]:
    if facts.failed:
        return Step.ABORT, f"the offsets cannot be read: {facts.failed}"
    if facts.offset_equal:
        return Step.MOVE, "the replica has everything"
    if facts.elapsed_s >= OFFSET_WITHIN_S:
        return Step.ABORT, f"the replica did not catch up in {OFFSET_WITHIN_S:.0f} s"
    return Step.WAIT_OFFSET, "the replica catches up"


def _move(facts: Facts) -> tuple[Step, str]:
    if facts.failed:
        return Step.ABORT, f"Sentinel refused to move: {facts.failed}"
    if facts.done:
        return Step.AWAIT_NEW_MASTER, "Sentinel moves the master"
    if not facts.offset_equal:
        return Step.WAIT_OFFSET, "somebody wrote in between; the replica catches up again"
    return Step.MOVE, "Sentinel has to be told"


def _await_new_master(facts: Facts) -> tuple[Step, str]:
    if facts.new_master_seen:
        return Step.RESUME, "the new master answers"
    if facts.elapsed_s >= NEW_MASTER_WITHIN_S:
        return Step.ABORT, f"no new master within {NEW_MASTER_WITHIN_S:.0f} s"
    return Step.AWAIT_NEW_MASTER, "Sentinel moves the master"


def _resume(facts: Facts) -> tuple[Step, str]:
    if facts.done:
        return Step.DONE, "moved; the relay publishes to the new master"
    return Step.RESUME, "the relay has to go on"


def _abort(facts: Facts) -> tuple[Step, str]:
    if facts.done:
        return Step.ABORTED, "not moved; the relay publishes to whatever master Sentinel names"
    return Step.ABORT, "the relay has to go on"


def _done(_: Facts) -> tuple[Step, str]:
    return Step.DONE, "moved"


def _aborted(_: Facts) -> tuple[Step, str]:
    return Step.ABORTED, "not moved"


_NEXT: dict[Step, Callable[[Facts], tuple[Step, str]]] = {
    Step.PAUSE_RELAY: _pause_relay,
    Step.WAIT_OFFSET: _wait_offset,
    Step.MOVE: _move,
    Step.AWAIT_NEW_MASTER: _await_new_master,
    Step.RESUME: _resume,
    Step.DONE: _done,
    Step.ABORT: _abort,
    Step.ABORTED: _aborted,
}
