"""Where the broker's master is and who reaches it: Sentinel's part, as coarse as it may be.

Only its answers matter here; that Sentinel itself behaves is measured in the lab.
"""

from tests.simulation.clock import ticks
from tests.simulation.events import Queue
from tests.simulation.network import CONTROL, LANS, SITES, Network

#: Sentinel moves the master after so long.
MOVES_AFTER = ticks(10.0)


class Broker:
    def __init__(self, queue: Queue, network: Network) -> None:
        self._queue, self._network = queue, network
        self.master = LANS[0]
        self.dead: set[str] = set()
        self._missed_since: int | None = None

    def answer(self, site: str) -> str:
        """What a round trip from `site` says now."""
        self._watch()
        return "ok" if self._path(site, self.master) else "timeout"

    def _watch(self) -> None:
        other = next(lan for lan in LANS if lan != self.master)
        lost = not any(self._up(self.master, by) for by in SITES if by != self.master)
        if not (lost and self._up(other, CONTROL)):
            self._missed_since = None
            return
        if self._missed_since is None:
            self._missed_since = self._queue.now
        if self._queue.now - self._missed_since >= MOVES_AFTER:
            self.master, self._missed_since = other, None

    def _path(self, i: str, j: str) -> bool:
        if i == j:
            return any(self._up(i, by) for by in SITES if by != i)
        third = next(s for s in SITES if s not in (i, j))
        return self._up(i, j) or (self._up(i, third) and self._up(third, j))

    def _up(self, i: str, j: str) -> bool:
        return not {i, j} & self.dead and self._network.linked(i, j)
