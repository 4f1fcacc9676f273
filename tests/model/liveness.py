"""That it comes to an end: a healed fleet comes to rest, and an accepted run is finished.

From every state that the search found, the links are healed, the sites started, and from then on
everything happens in a fair order. Then it must be normal with a free lease within ten minutes
(L2), and every run must be over (L1 and L3).
"""

from collections.abc import Iterable

from tests.model.calls import NORMAL
from tests.model.control import Control, ControlModel, Step
from tests.model.place import ALL_UP, BOTH_ALIVE
from tests.model.rules import Rules
from tests.model.search import control
from tests.model.work import OVER, Move, Scene, Work, WorkModel

#: Ten minutes of ticks.
MOST_TICKS = 60
MOST_MOVES = 40


def stuck(rules: Rules, faults: int) -> str:
    """The first state of the control part from which it does not come to rest, or ""."""
    _found, _scenes, states = control(rules, faults, 600.0)
    return restless(rules, states)


def restless(rules: Rules, states: Iterable[Control]) -> str:
    """As `stuck`, of states that are known."""
    model, good = ControlModel(rules), set[Control]()
    for state in states:
        c = state._replace(links=ALL_UP, lans=BOTH_ALIVE, faults=0)
        way, ticks = [], 0
        while c not in good and not _rests(c):
            way.append(c)
            c, ticks = _round(model, c), ticks + 1
            if ticks > MOST_TICKS:
                return f"L2: healed, and not at rest after ten minutes: {state}"
        good.update(way)
    return ""


def _rests(c: Control) -> bool:
    return c.mode == NORMAL and not c.lease and not c.awake and not any(c.back)


def _round(model: ControlModel, c: Control) -> Control:
    """Ten seconds in which everything that can happen does, once."""
    done: set[str] = set()
    while True:
        step = next((s for s in model.steps(c) if _fair(s, c) and s.label not in done), None)
        if step is None:
            return c
        done.add(step.label)
        c = step.after


def _fair(step: Step, before: Control) -> bool:
    return step.after != before


def unfinished(rules: Rules, works: Iterable[Work], healed: Scene) -> str:
    """The first task that is never over although all is well, or ""."""
    model, good = WorkModel(rules), set[Work]()
    for start in works:
        work, way = model.settle(start, healed)[0], []
        while work not in good and work.status not in OVER:
            way.append(work)
            after = _next(model, work, healed)
            if after is None or len(way) > MOST_MOVES:
                return f"L3: never over: {start}"
            work = after
        good.update(way)
    return ""


def _next(model: WorkModel, work: Work, healed: Scene) -> Work | None:
    """What runs ends, what waits is taken, what is missing is published again, in that order."""
    free = [m for m in model.moves(work, healed) if not m.faults and m.after != work]
    return min(free, key=_urgency).after if free else None


def _urgency(move: Move) -> tuple[int, str]:
    order = ("ends", "taken", "published")
    return next((n for n, word in enumerate(order) if word in move.label), 9), move.label
