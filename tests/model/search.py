"""Breadth first over everything that can happen, and the shortest way to what must not.

Two environments stand under the tasks. `Concrete` is the control part as it is. `Scenes` is its
quotient: all orders of scenes that the control part can produce, found by exploring it
completely. It allows more than can happen, so that what it does not break cannot break; it is
small enough for four faults and two tasks.
"""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from fleet.policy.effects import EffectClass
from fleet.policy.modes import Mode
from tests.model.calls import MODES
from tests.model.control import Control, ControlModel, broker_reached
from tests.model.place import LANS, C, alive, linked
from tests.model.rules import Rules
from tests.model.work import Scene, Work, WorkModel, crashed

TWO_TASKS = (EffectClass.C, EffectClass.D)
_BITS = 20
_MASK = (1 << _BITS) - 1


@dataclass(slots=True)
class Found:
    """What a search saw. `trace` is the shortest way to what was broken, if something was."""

    states: int
    transitions: int
    depth: int
    seconds: float
    complete: bool
    broken: str = ""
    trace: list[str] = field(default_factory=list)


class Environment(Protocol):
    """Nodes are numbers; `spend` is the same node with one fault less, if one is left."""

    start: int

    @property
    def scenes(self) -> list[Scene]: ...
    def steps(self, node: int) -> list[tuple[str, int, int, str]]: ...
    def scene(self, node: int) -> int: ...
    def spend(self, node: int) -> int | None: ...


class Numbered:
    """Things that are given numbers as they appear."""

    def __init__(self) -> None:
        self.things: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def __call__(self, thing: Any) -> int:
        number = self._numbers.get(thing)
        if number is None:
            number = self._numbers[thing] = len(self.things)
            self.things.append(thing)
        return number


def scene_of(model: ControlModel, c: Control) -> Scene:
    """What the control part lets tasks do. Only minimal mode makes a difference to them."""
    mode = MODES[c.mode][0]
    run = model.may_run(c)
    return Scene(
        broker=broker_reached(c),
        reports=(linked(c.links, c.lans, 0, C), linked(c.links, c.lans, 1, C), True),
        alive=(alive(c.lans, LANS[0]), alive(c.lans, LANS[1]), True),
        may_run=run,
        leased=run and c.permit == c.lease,
        mode=mode if mode is Mode.MINIMAL else Mode.NORMAL,
    )


class Concrete:
    """The control part, state by state."""

    def __init__(self, rules: Rules, faults: int) -> None:
        self._model = ControlModel(rules)
        self._number, self._scene = Numbered(), Numbered()
        self._steps: dict[int, list[tuple[str, int, int, str]]] = {}
        self._scenes: dict[int, int] = {}
        self.start = self._number(Control(faults=faults))

    @property
    def scenes(self) -> list[Scene]:
        return self._scene.things

    def steps(self, node: int) -> list[tuple[str, int, int, str]]:
        if node not in self._steps:
            found = self._model.steps(self._number.things[node])
            self._steps[node] = [
                (s.label, n, s.dies, s.broken)
                for s in found
                if (n := self._number(s.after)) != node
            ]
        return self._steps[node]

    def scene(self, node: int) -> int:
        if node not in self._scenes:
            scene = scene_of(self._model, self._number.things[node])
            self._scenes[node] = self._scene(scene)
        return self._scenes[node]

    def spend(self, node: int) -> int | None:
        c = self._number.things[node]
        return self._number(c._replace(faults=c.faults - 1)) if c.faults else None


class Scenes:
    """All orders of scenes that the control part can produce with so many faults."""

    def __init__(self, faults: int) -> None:
        self._number, self._scene = Numbered(), Numbered()
        self._edges: dict[int, dict[tuple[int, int], str]] = {}
        self._faults = faults

    @property
    def scenes(self) -> list[Scene]:
        return self._scene.things

    def add(self, before: Scene, after: Scene, faults: int, cost: int, dies: int, why: str) -> None:
        """A step seen with `faults` left is possible with fewer, as long as it can be paid."""
        i, j = self._scene(before), self._scene(after)
        for left in range(cost, faults + 1):
            a, b = self._number((i, left)), self._number((j, left - cost))
            if a != b or dies >= 0:
                self._edges.setdefault(a, {}).setdefault((b, dies), why)

    def begin(self, scene: Scene) -> None:
        self.start = self._number((self._scene(scene), self._faults))

    def steps(self, node: int) -> list[tuple[str, int, int, str]]:
        return [(why, b, dies, "") for (b, dies), why in self._edges.get(node, {}).items()]

    def scene(self, node: int) -> int:
        return int(self._number.things[node][0])

    def spend(self, node: int) -> int | None:
        scene, left = self._number.things[node]
        return self._number((scene, left - 1)) if left else None


def control(rules: Rules, faults: int, seconds: float) -> tuple[Found, Scenes, set[Control]]:
    """Explore the control part alone, completely, and gather its scenes."""
    model, scenes, began = ControlModel(rules), Scenes(faults), time.monotonic()
    start = Control(faults=faults)
    seen, front, found = {start: scene_of(model, start)}, [start], Found(1, 0, 0, 0.0, True)
    scenes.begin(seen[start])
    edges: set[tuple[Scene, Scene, int, int, int]] = set()
    while front and not found.broken and found.complete:
        found.depth += 1
        ahead = []
        for c in front:
            for step in model.steps(c):
                found.transitions += 1
                after = step.after
                if step.broken:
                    found.broken = step.broken
                if after not in seen:
                    seen[after] = scene_of(model, after)
                    ahead.append(after)
                edge = (seen[c], seen[after], c.faults, c.faults - after.faults, step.dies)
                if edge not in edges:
                    edges.add(edge)
                    scenes.add(*edge, step.label)
        front = ahead
        found.complete = time.monotonic() - began < seconds
    found.states, found.seconds = len(seen), time.monotonic() - began
    return found, scenes, set(seen)


class TaskSteps:
    """Steps of tasks in scenes, each worked out once."""

    def __init__(self, rules: Rules, environment: Environment) -> None:
        self._model, self._environment = WorkModel(rules), environment
        self.number = Numbered()
        self._moves: dict[tuple[int, int], list[tuple[str, int, str, int]]] = {}
        self._arrivals: dict[tuple[int, int, int], tuple[int, str]] = {}

    def moves(self, work: int, scene: int) -> list[tuple[str, int, str, int]]:
        key = (work, scene)
        if key not in self._moves:
            w, s = self.number.things[work], self._environment.scenes[scene]
            self._moves[key] = [
                (m.label, n, m.broken, m.faults)
                for m in self._model.moves(w, s)
                if (n := self.number(m.after)) != work or m.broken
            ]
        return self._moves[key]

    def arrive(self, work: int, scene: int, dies: int) -> tuple[int, str]:
        """The task when the scene has changed around it."""
        key = (work, scene, dies)
        if key not in self._arrivals:
            w = self.number.things[work]
            w = crashed(w, dies) if dies >= 0 else w
            after, broken = self._model.settle(w, self._environment.scenes[scene])
            self._arrivals[key] = (self.number(after), broken)
        return self._arrivals[key]


class Search:
    """Tasks in an environment, breadth first."""

    def __init__(
        self, rules: Rules, environment: Environment, classes: tuple[EffectClass, ...] = TWO_TASKS
    ) -> None:
        self._environment = environment
        self.tasks = TaskSteps(rules, environment)
        first = environment.scene(environment.start)
        works = [
            self.tasks.arrive(self.tasks.number(Work(effect=e)), first, -1)[0] for e in classes
        ]
        self.start = _packed(environment.start, works)
        self._names = [f"task {e}" for e in classes]

    def run(self, seconds: float, *, traced: bool = False) -> Found:
        """Until all is seen, something is broken, or the time is over."""
        began, found = time.monotonic(), Found(1, 0, 0, 0.0, True)
        seen: dict[int, int] | set[int] = {self.start: -1} if traced else {self.start}
        front = [self.start]
        while front and found.complete:
            found.depth += 1
            ahead: list[int] = []
            for state in front:
                for after, broken in self._after(state):
                    found.transitions += 1
                    if broken:
                        found.broken, found.states = broken, len(seen)
                        found.seconds = time.monotonic() - began
                        found.trace = self._trace(seen, state, after) if traced else []
                        return found
                    if after not in seen:
                        if traced:
                            seen[after] = state  # type: ignore[index]
                        else:
                            seen.add(after)  # type: ignore[union-attr]
                        ahead.append(after)
            front = ahead
            found.complete = time.monotonic() - began < seconds
        found.states, found.seconds = len(seen), time.monotonic() - began
        return found

    def _after(self, state: int) -> Iterator[tuple[int, str]]:
        for _label, after, broken in self._labelled(state):
            yield after, broken

    def _labelled(self, state: int) -> Iterator[tuple[str, int, str]]:
        environment, tasks = self._environment, self.tasks
        node, works = _unpacked(state, len(self._names))
        scene = environment.scene(node)
        for label, n, dies, broken in environment.steps(node):
            there = environment.scene(n)
            arrived = works
            if there != scene or dies >= 0:
                pairs = [tasks.arrive(w, there, dies) for w in works]
                arrived = [w for w, _ in pairs]
                broken = broken or next((b for _, b in pairs if b), "")
            yield label, _packed(n, arrived), broken
        for at, name in enumerate(self._names):
            for label, after, broken, cost in tasks.moves(works[at], scene):
                n2 = environment.spend(node) if cost else node
                if n2 is not None:
                    changed = [*works[:at], after, *works[at + 1 :]]
                    yield f"{name}: {label}", _packed(n2, changed), broken

    def _trace(self, seen: dict[int, int] | set[int], state: int, last: int) -> list[str]:
        if not isinstance(seen, dict):
            return []
        way = [last, state]
        while (before := seen[way[-1]]) >= 0:
            way.append(before)
        way.reverse()
        return [self._label(a, b) for a, b in itertools.pairwise(way)]

    def _label(self, before: int, after: int) -> str:
        found = [(lb, br) for lb, st, br in self._labelled(before) if st == after]
        label, broken = max(found, key=lambda pair: bool(pair[1]))
        return f"{label}   <- {broken}" if broken else label


def _packed(node: int, works: list[int]) -> int:
    for work in works:
        node = node << _BITS | work
    return node


def _unpacked(state: int, count: int) -> tuple[int, list[int]]:
    works = []
    for _ in range(count):
        works.append(state & _MASK)
        state >>= _BITS
    works.reverse()
    return state, works
