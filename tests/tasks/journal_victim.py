"""A program that is killed: for each folder a child works on a journal and ends itself midway.

`python -m tests.tasks.journal_victim FOLDER WORK STEPS` makes a child for each number from 1 to
STEPS; the child ends itself with SIGKILL before the SQL statement of that number, or at a named
place between statements. It prints how many statements the work has when nobody is killed.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event

from fleet.policy.effects import EffectClass
from tasks.app import app
from tasks.box import Box
from tasks.call import make_call
from tasks.home.journal_store import JournalStore
from tasks.producer import JournalAcceptor
from tasks.settings import load_settings
from tasks.wire import Outcome, OutcomeStatus
from tests.tasks.envelopes import NOW, envelope

RUNS = 2


class Steps:
    """Counts; ends this process at the chosen step."""

    def __init__(self, last: int) -> None:
        self.count = 0
        self._last = last

    def step(self, *_: Any, **__: Any) -> None:
        self.count += 1
        if self.count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def work_of_a_worker(box: Box, steps: Steps) -> None:
    """Claim, effect, finish."""
    box.claims.claim(envelope(), EffectClass.D, "celery@mini-1", NOW)
    steps.step()
    with (box.settings.state_dir / "effect").open("a") as effect:
        effect.write("x")
    steps.step()
    outcome = Outcome(status=OutcomeStatus.SUCCESSFUL, return_value=1)
    box.claims.finish(envelope(), outcome, "celery@mini-1", NOW)


def work_of_a_program(box: Box, steps: Steps) -> None:
    """Accept some runs in one go."""
    calls = [make_call(app, "canary.echo", [n]) for n in range(RUNS)]
    JournalAcceptor(app, box).accept_many(calls)


def work_of_a_home(box: Box, steps: Steps) -> None:
    """Give each of some runs an attempt, in one go."""
    store = JournalStore(box.database, "dc1", 1, list)
    store.open_attempts([(run.run_id, "dev") for run in store.due(NOW, 10, ())], NOW)


WORKS: dict[str, Callable[[Box, Steps], None]] = {
    "worker": work_of_a_worker,
    "program": work_of_a_program,
    "home": work_of_a_home,
}


def box_in(folder: Path) -> Box:
    return Box(load_settings(site="dc1", box="mini-1", state_dir=folder))


def victim(folder: Path, work: str, last: int) -> int:
    """Do the work, with a watch on every statement; returns the number of steps."""
    box = box_in(folder)
    box.database.probe()
    if work == "home":
        work_of_a_program(box, Steps(0))
    steps = Steps(last)
    event.listen(box.database.engine(), "before_cursor_execute", steps.step)
    WORKS[work](box, steps)
    return steps.count


def in_child(folder: Path, work: str, last: int) -> None:
    """The victim is a process of its own; that it was killed is checked."""
    pid = os.fork()
    if pid == 0:
        victim(folder, work, last)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.WTERMSIG(status) != signal.SIGKILL:
        sys.exit(f"step {last} of {work} was not killed")


def main() -> None:
    base, work = Path(sys.argv[1]), sys.argv[2]
    total = victim(base / "whole", work, 0)
    for last in range(1, total + 1):
        in_child(base / str(last), work, last)
    sys.stdout.write(f"{total}\n")


if __name__ == "__main__":
    main()
