"""The exhaustive model: `python -m tests.model [--faults N] [--seconds S] [--mutants]`.

Two processes: one explores the control part with all faults and a task of every class in all
orders of scenes that come out, the other two tasks together with one fault less. Tasks share
nothing but the budget of faults, and every invariant is about one task: what two of them do with
N faults, each of them does alone with N. Exit status 1 when an invariant breaks, a mutant
survives, or the time is over before everything is seen.
"""

import tests.environment  # isort: skip  # noqa: F401  the configuration that the fleet reads

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from fleet.policy.effects import EffectClass
from fleet.policy.modes import Mode
from tests.model import broker, liveness, mutants
from tests.model.rules import Rules
from tests.model.search import TWO_TASKS, Concrete, Found, Scenes, Search, control
from tests.model.work import Scene

HEALED = Scene(
    broker=(True, True, True),
    reports=(True, True, True),
    alive=(True, True, True),
    may_run=False,
    leased=False,
    mode=Mode.NORMAL,
)
#: The states of two tasks together grow twelvefold with each fault: 4.4 million with three.
MOST_FAULTS_OF_TWO = 3


@dataclass(frozen=True)
class Line:
    """One line of the report."""

    what: str
    states: int
    transitions: int
    depth: int
    seconds: float
    verdict: str

    @property
    def good(self) -> bool:
        return self.verdict == "holds"


def main() -> int:
    options = _options()
    if options.mutants:
        return _hunt()
    began = time.monotonic()
    jobs = [(_alone, options.faults), (_together, min(options.faults, MOST_FAULTS_OF_TWO))]
    with multiprocessing.get_context("fork").Pool(len(jobs)) as pool:
        waiting = [pool.apply_async(job, (faults, options.seconds)) for job, faults in jobs]
        lines = [line for result in waiting for line in result.get()]
    for line in lines:
        _say(
            f"{line.what:52} {line.states:>10,} states {line.transitions:>11,} steps "
            f"depth {line.depth:>3} {line.seconds:>6.1f} s  {line.verdict}"
        )
    total = sum(line.states for line in lines)
    spent_s = time.monotonic() - began
    _say(f"{total:,} distinct states in {spent_s:.0f} s, {_memory_mib()} MiB at most")
    return 0 if all(line.good for line in lines) else 1


def _alone(faults: int, seconds: float) -> list[Line]:
    """The control part, its rest after healing, and each class of task in its scenes."""
    rules, ends = Rules(), time.monotonic() + seconds
    found, scenes, states = control(rules, faults, seconds)
    lines = [_line(f"control, {faults} faults", found)]
    began = time.monotonic()
    restless = liveness.restless(rules, states)
    spent = time.monotonic() - began
    lines.append(
        Line("  each of them comes to rest when healed", 0, 0, 0, spent, restless or "holds")
    )
    for effect in EffectClass:
        what = f"a task of class {effect}, {faults} faults"
        lines += _tasks(what, rules, scenes, (effect,), ends)
    return lines


def _together(faults: int, seconds: float) -> list[Line]:
    """Two tasks in the scenes of fewer faults, the same step by step with one, the broker."""
    rules, ends = Rules(), time.monotonic() + seconds
    _found, scenes, _states = control(rules, faults, seconds)
    lines = _tasks(f"tasks of class C and D, {faults} faults", rules, scenes, TWO_TASKS, ends)
    search = Search(rules, Concrete(rules, min(faults, 1)))
    found = search.run(max(1.0, ends - time.monotonic()))
    lines.append(_line(f"control and both tasks, {min(faults, 1)} faults", found))
    began = time.monotonic()
    plans, states, bad, way = broker.passed()
    verdict = f"I1 breaks with {bad}: {way}" if bad else "holds"
    what = f"two masters? {plans} plans that the rules pass"
    lines.append(Line(what, states, states, 0, time.monotonic() - began, verdict))
    return lines


def _tasks(
    what: str, rules: Rules, scenes: Scenes, classes: tuple[EffectClass, ...], ends: float
) -> list[Line]:
    search = Search(rules, scenes, classes)
    found = search.run(max(1.0, ends - time.monotonic()))
    began, works = time.monotonic(), search.tasks.number.things
    unfinished = liveness.unfinished(rules, works, HEALED)
    rest = f"  each of {len(works):,} states of a task is finished when healed"
    spent = time.monotonic() - began
    return [_line(what, found), Line(rest, 0, 0, 0, spent, unfinished or "holds")]


def _line(what: str, found: Found) -> Line:
    verdict = found.broken or ("holds" if found.complete else "time is over")
    return Line(what, found.states, found.transitions, found.depth, found.seconds, verdict)


def _hunt() -> int:
    """Every mutant with its shortest trace; the exit status counts those that survive."""
    survivors = 0
    for mutant in mutants.MUTANTS:
        found = mutants.hunt(mutant)
        survivors += _told(mutant.name, found.trace, found.broken.startswith(mutant.breaks))
    for missing in ("max_lag_s", "quorum"):
        trace = mutants.hunt_two_masters(without=missing)
        survivors += _told(f"broker settings without the rule of {missing}", trace, bool(trace))
    for name in mutants.RESTLESS:
        stuck = mutants.hunt_restless(name)
        survivors += _told(name, [stuck], bool(stuck))
    _say(f"{survivors} mutants survived")
    return min(survivors, 1)


def _told(name: str, trace: list[str], killed: bool) -> int:
    _say(f"\n{name}: {'killed' if killed else 'SURVIVED'} in {len(trace)} steps")
    for number, label in enumerate(trace, 1):
        _say(f"  {number:>2}. {label}")
    return not killed


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--faults", type=_checked(0, 4), default=4, help="0 to 4, default 4")
    parser.add_argument("--seconds", type=_checked(1, 86400), default=600, help="default 600")
    parser.add_argument("--mutants", action="store_true", help="hunt the wrong versions instead")
    return parser.parse_args()


def _checked(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{value} is not between {least} and {most}")
        return value

    return number


def _memory_mib() -> int:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
