"""The relay: from accepted to published, keeping the broker's window short."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fleet.policy import dispatch, window
from fleet.policy.dispatch import Supply
from tasks.home.signer import Signed, Signer
from tasks.home.store import Dispatch, DueRun, Group, HomeStore

#: Runs looked at in one step; a deeper backlog takes several steps.
BATCH = 500


class Broker(Protocol):
    """The part of the broker that a home needs; every call may raise NetworkError."""

    def depths(self, queues: Sequence[str]) -> dict[str, int]: ...
    def waiting(self, queues: Sequence[str]) -> set[int]: ...
    def held(self) -> set[int]: ...
    def master(self) -> str: ...
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
        stuck: set[Group] = set()
        published = 0
        while True:
            due = self._store.due(now, BATCH, stuck)
            chosen, held_back = self._choose(due, now) if due else ([], set())
            opened = self._store.open_attempts(chosen, now) if chosen else []
            self.publish(opened, now)
            published += len(opened)
            if len(due) < BATCH or not held_back - stuck:
                return Relayed(published, more=len(due) == BATCH and bool(opened))
            # Those that cannot go now must not hide the others behind them.
            stuck |= held_back

    def publish(self, opened: Sequence[Dispatch], now: datetime) -> None:
        """Sign, publish, mark."""
        if not opened:
            return
        self._broker.publish([self._signer.seal(d) for d in opened])
        self._store.mark_published([d.token for d in opened], now)

    def _choose(
        self, due: Sequence[DueRun], now: datetime
    ) -> tuple[list[tuple[str, str]], set[Group]]:
        """(run id, queue) of what fits, and the groups of what does not."""
        supply = self._store.supply(now)
        placed = [(run, _queue(run, supply)) for run in due]
        left = self._rooms({queue for _, queue in placed if queue is not None}, supply)
        chosen: list[tuple[str, str]] = []
        held_back: set[Group] = set()
        for run, queue in placed:
            if queue is not None and left[queue] > 0:
                left[queue] -= 1
                chosen.append((run.run_id, queue))
            else:
                held_back.add(run.group)
        return chosen, held_back

    def _rooms(self, queues: set[str], supply: Sequence[Supply]) -> dict[str, int]:
        """How many more each queue may take."""
        if not queues:
            return {}
        depths = self._broker.depths(sorted(queues))
        return {q: window.room(depths[q], dispatch.slots_for(q, supply)) for q in queues}


def _queue(run: DueRun, supply: Sequence[Supply]) -> str | None:
    return dispatch.place(run.capability, run.site or run.last_site, run.effect, supply).queue
