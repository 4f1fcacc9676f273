"""The relay: from accepted to published, keeping the broker's window short."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fleet.policy import dispatch, window
from fleet.policy.dispatch import Supply
from tasks.home.signer import Signed, Signer
from tasks.home.store import Dispatch, DueRun, HomeStore

#: Runs looked at in one step; a deeper backlog takes several steps.
BATCH = 500


class Broker(Protocol):
    """The part of the broker that a home needs; every call may raise NetworkError."""

    def depths(self, queues: Sequence[str]) -> dict[str, int]: ...
    def tokens(self, queues: Sequence[str]) -> set[int]: ...
    def publish(self, batch: Sequence[Signed]) -> None: ...


@dataclass(frozen=True, slots=True)
class Relayed:
    """What one step did: how many were published, and whether more could be at once."""

    published: int
    more: bool


class Relay:
    """Publishes the due runs of one home, the most urgent first."""

    def __init__(self, store: HomeStore, broker: Broker, signer: Signer) -> None:
        self._store = store
        self._broker = broker
        self._signer = signer

    def step(self, now: datetime) -> Relayed:
        """Publish what fits; raises NetworkError when the broker is away.

        Cut at any point nothing is lost: an attempt without its mark is published again by
        `Reconciler`, with the same token.
        """
        due = self._store.due(now, BATCH)
        if not due:
            return Relayed(0, more=False)
        supply = self._store.supply(now)
        placed = [
            (run.run_id, queue)
            for run, queue in ((r, _queue(r, supply)) for r in due)
            if queue is not None
        ]
        chosen = self._within_window(placed, supply)
        opened = self._store.open_attempts(chosen, now) if chosen else []
        self.publish(opened, now)
        return Relayed(len(opened), more=len(due) == BATCH and bool(opened))

    def publish(self, opened: Sequence[Dispatch], now: datetime) -> None:
        """Sign, publish, mark."""
        if not opened:
            return
        self._broker.publish([self._signer.seal(d) for d in opened])
        self._store.mark_published([d.token for d in opened], now)

    def _within_window(
        self, placed: Sequence[tuple[str, str]], supply: Sequence[Supply]
    ) -> list[tuple[str, str]]:
        queues = sorted({queue for _, queue in placed})
        if not queues:
            return []
        depths = self._broker.depths(queues)
        left: defaultdict[str, int] = defaultdict(int)
        for queue in queues:
            left[queue] = window.room(depths[queue], dispatch.slots_for(queue, supply))
        chosen = []
        for run_id, queue in placed:
            if left[queue] > 0:
                left[queue] -= 1
                chosen.append((run_id, queue))
        return chosen


def _queue(run: DueRun, supply: Sequence[Supply]) -> str | None:
    return dispatch.place(run.capability, run.site, run.effect, supply).queue
