"""The queue of events, processes with their timers, and the trace of what happened."""

import hashlib
import heapq
from collections import deque
from collections.abc import Callable
from typing import Any

from tests.simulation.clock import Clock, seconds

#: Events of the plan of faults come first at the same tick; they survive a leap.
PLAN = 0
#: Timers and messages of the agents.
AGENTS = 10
KEPT_LINES = 60


class Trace:
    """Every line goes into the hash; the last ones are kept to be shown."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.last: deque[str] = deque(maxlen=KEPT_LINES)
        self.lines = 0

    def note(self, now: int, *words: object) -> None:
        line = f"{seconds(now):12.3f}  {' '.join(map(str, words))}"
        self._hash.update(line.encode() + b"\n")
        self.last.append(line)
        self.lines += 1

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


class Queue:
    """Events in the order of their ticks, then of `order`, then as they came."""

    def __init__(self) -> None:
        self.now = 0
        self.done = 0
        self._heap: list[tuple[int, int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0

    def at(self, tick: int, order: int, call: Callable[..., None], *args: Any) -> None:
        self._count += 1
        heapq.heappush(self._heap, (tick, order, self._count, call, args))

    def run(self, until: int, after: Callable[[], None]) -> None:
        """All events up to `until`; `after` is called after each."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _, _, call, args = heapq.heappop(heap)
            call(*args)
            self.done += 1
            after()
        self.now = max(self.now, until)

    def next_planned(self) -> int | None:
        """The tick of the next event of the plan."""
        return min((e[0] for e in self._heap if e[1] == PLAN), default=None)

    def forget_agents(self) -> None:
        """Drop what agents have in the queue; the caller sets their timers anew."""
        self._heap[:] = [e for e in self._heap if e[1] == PLAN]
        heapq.heapify(self._heap)


class Process:
    """What runs, is stopped by a signal, or is dead. A stopped one finds its mail afterwards."""

    def __init__(self, queue: Queue, name: str, clock: Clock) -> None:
        self.queue, self.name, self.clock = queue, name, clock
        self.alive, self.paused = True, False
        #: Counts its starts: what an earlier life asked for is nothing to the next one.
        self.lives = 1
        self.timers: list[Timer] = []
        self._inbox: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    def now_s(self) -> float:
        return self.clock.s(self.queue.now)

    def every(self, period_s: float, call: Callable[[], None], phase: int = 0) -> "Timer":
        timer = Timer(self, period_s, call)
        self.timers.append(timer)
        timer.start(self.queue.now + phase)
        return timer

    def deliver(self, call: Callable[..., None], *args: Any) -> None:
        """A message for it: taken now, after the pause, or never."""
        if self.paused:
            self._inbox.append((call, args))
        elif self.alive:
            call(*args)

    def pause(self) -> None:
        self.paused = self.alive

    def resume(self, mail_first: bool) -> None:
        """Timers that came due meanwhile go off once; mail is read before or after that."""
        if not self.paused:
            return
        self.paused = False
        late = [timer for timer in self.timers if timer.missed]
        if mail_first:
            self._read()
        for timer in late:
            timer.start(self.queue.now)
        if not mail_first:
            self.queue.at(self.queue.now + 1, AGENTS + 1, self._read)

    def kill(self) -> None:
        self.alive = self.paused = False
        self._inbox.clear()
        for timer in self.timers:
            timer.stop()
        self.timers.clear()

    def start(self) -> None:
        self.alive, self.lives = True, self.lives + 1

    def _read(self) -> None:
        mail, self._inbox = self._inbox, []
        for call, args in mail:
            self.deliver(call, *args)


class Timer:
    """Goes off every `period_s` of its machine's clock, counted from an anchor without drift."""

    def __init__(self, process: Process, period_s: float, call: Callable[[], None]) -> None:
        self._process, self._period_s, self._call = process, period_s, call
        self.anchor, self.number = 0, 0
        self._version = 0
        self.missed = False

    def start(self, tick: int) -> None:
        self.anchor, self.number, self.missed = tick, 0, False
        self._set()

    def stop(self) -> None:
        self._version += 1

    def tick(self, number: int) -> int:
        """When it goes off for the `number`-th time after the anchor."""
        return self.anchor + self._process.clock.span(number * self._period_s)

    def leap(self, to: int) -> int:
        """Go on with the first time after `to`; returns how many were left out."""
        guess = int(seconds(to - self.anchor) / self._period_s * 0.98)
        number = max(self.number, guess)
        while self.tick(number) <= to:
            number += 1
        left_out, self.number = number - self.number, number
        self._set()
        return left_out

    def _set(self) -> None:
        self._version += 1
        tick = self.tick(self.number)
        self._process.queue.at(tick, AGENTS, self._fire, self._version)

    def _fire(self, version: int) -> None:
        if version != self._version:
            return
        if self._process.paused:
            self.missed = True
            return
        self.number += 1
        self._process.queue.at(self.tick(self.number), AGENTS, self._fire, version)
        self._call()
