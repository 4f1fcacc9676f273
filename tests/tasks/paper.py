"""Parts of a fleet on paper: where processes can be cut, a broker, and a sink of effects."""

import contextlib
import os
import tempfile
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleet.policy.effects import EffectClass
from fleet.policy.envelope import Envelope
from fleet.policy.errors import NetworkError
from tasks.home.signer import Signed

A, B, C, D = EffectClass
#: What goes wrong with the runs of each class. A and D have most to lose: the one may be started
#: again and again, the other never.
TROUBLES = [
    (A, "cut"),
    (A, "forget"),
    (B, "cut"),
    (C, "cut"),
    (D, "cut"),
    (D, "forget"),
    (D, "away"),
]


@contextlib.contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder in memory where there is one: hundreds of worlds would wait for the disk."""
    memory = Path("/dev/shm")  # noqa: S108
    where = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="turtle-world-", dir=where) as folder:
        yield Path(folder)


class Cut(BaseException):
    """The process ended here, as if by SIGKILL: no handler of the product may catch it."""


class Cuts:
    """Calls `happens` at the `at`-th point; `points` says how many there were."""

    def __init__(self, at: int, happens: Callable[[], None]) -> None:
        self._at = at
        self._happens = happens
        self.points = 0
        self.armed = False
        self.where = "nowhere"

    def point(self, name: str) -> None:
        if not self.armed:
            return
        self.points += 1
        if self.points == self._at:
            self.where = name
            self._happens()


class Cutting:
    """Passes every call of a method on, with a point before and after it."""

    def __init__(self, target: Any, cuts: Cuts) -> None:
        self._target = target
        self._cuts = cuts

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found

        def called(*args: Any, **kwargs: Any) -> Any:
            self._cuts.point(f"before {name}")
            result = found(*args, **kwargs)
            self._cuts.point(f"after {name}")
            return result

        return called


class PaperBroker:
    """Lists of messages and a note of who has taken which: what Redis holds, honestly."""

    def __init__(self) -> None:
        self.cuts = Cuts(0, lambda: None)
        self.queues: defaultdict[str, deque[Signed]] = defaultdict(deque)
        self.taken: dict[str, Signed] = {}
        self.published: Counter[tuple[str, int, int]] = Counter()
        self.away_calls = 0
        self.leader = "dc1:6379"

    def _reach(self) -> None:
        if self.away_calls > 0:
            self.away_calls -= 1
            raise NetworkError("broker: no master")

    def depths(self, queues: Sequence[str]) -> dict[str, int]:
        self._reach()
        return {queue: len(self.queues[queue]) for queue in queues}

    def waiting(self, queues: Sequence[str]) -> set[int]:
        self._reach()
        return {signed.envelope.token for queue in queues for signed in self.queues[queue]}

    def held(self) -> set[int]:
        self._reach()
        return {signed.envelope.token for signed in self.taken.values()}

    def master(self) -> str:
        self._reach()
        return self.leader

    def switch(self, *, swallowed: bool = True) -> None:
        """Another master leads, with or without what the old one had last taken."""
        self.leader = "dc2:6379"
        if swallowed:
            self.queues.clear()
            self.taken.clear()

    def publish(self, batch: Sequence[Signed]) -> None:
        for signed in batch:
            self._reach()
            envelope = signed.envelope
            self.queues[envelope.queue].append(signed)
            self.published[envelope.id, envelope.attempt, envelope.token] += 1
            self.cuts.point("within publish")

    def take(self, queues: Sequence[str], worker: str) -> Signed | None:
        for queue in queues:
            if self.queues[queue]:
                self.taken[worker] = self.queues[queue].popleft()
                return self.taken[worker]
        return None

    def acknowledge(self, worker: str) -> None:
        self.taken.pop(worker, None)

    def put_back(self, worker: str) -> None:
        """What the broker does with the message of a worker whose connection has ended."""
        signed = self.taken.pop(worker, None)
        if signed is not None:
            self.queues[signed.envelope.queue].appendleft(signed)

    def forget(self) -> None:
        """A fail-over to a replica that had nothing yet."""
        self.queues.clear()
        self.taken.clear()

    def empty(self) -> bool:
        return not self.taken and not any(self.queues.values())


@dataclass
class Sink:
    """Where the tasks' effects go, and what the tests count."""

    started: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    plain: set[str] = field(default_factory=set)
    keyed: dict[str, int] = field(default_factory=dict)
    keyed_writes: Counter[str] = field(default_factory=Counter)
    fenced: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    unfenced: Counter[str] = field(default_factory=Counter)

    def take_effect(self, effect: EffectClass, envelope: Envelope) -> None:
        run = envelope.id
        if effect is EffectClass.A:
            self.plain.add(run)
        elif effect is EffectClass.B:
            if run not in self.keyed:
                self.keyed[run] = envelope.token
                self.keyed_writes[run] += 1
        elif effect is EffectClass.C:
            if envelope.token > max(self.fenced[run], default=0):
                self.fenced[run].append(envelope.token)
        else:
            self.unfenced[run] += 1

    def has_effect(self, effect: EffectClass, run: str) -> bool:
        if effect is EffectClass.A:
            return run in self.plain
        if effect is EffectClass.B:
            return run in self.keyed
        return bool(self.fenced[run] if effect is EffectClass.C else self.unfenced[run])
