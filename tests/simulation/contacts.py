"""Who was really in touch with whom: told by the messages that arrived, not by any detector.

A contact counts when it has gone on for ten seconds without a longer gap, in both directions:
the detector wants five beats in a row, and a single beat that slips through ends no outage.
"""

from tests.simulation.clock import ticks
from tests.simulation.network import CONTROL, SITES

STEADY = ticks(10.0)
LONGEST_GAP = ticks(2.5)
#: Reports come this often when the network is watched closely.
PUBLIC = "public"
_Pair = tuple[str, str]


class Contacts:
    def __init__(self) -> None:
        self._runs: dict[_Pair, tuple[int, int]] = {}
        #: When each site was last in touch with any other, on any path.
        self.last: dict[str, int] = dict.fromkeys(SITES, 0)

    def heard(self, sender: str, by: str, now: int) -> None:
        if not self._goes_on((sender, by), now):
            return
        back = self._runs.get((by, sender))
        if back is not None and back[1] - back[0] >= STEADY:
            both = min(now, back[1])
            self.last[sender] = max(self.last[sender], both)
            self.last[by] = max(self.last[by], both)

    def reported(self, site: str, now: int) -> None:
        """A report went to the control plane and its answer came back."""
        if self._goes_on((site, PUBLIC), now):
            self.last[site] = max(self.last[site], now)

    def _goes_on(self, pair: _Pair, now: int) -> bool:
        began, last = self._runs.get(pair, (now, now))
        if now - last > LONGEST_GAP:
            began = now
        self._runs[pair] = (began, now)
        return now - began >= STEADY

    def control_hears(self, site: str, now: int) -> bool:
        """The control plane and the site have been in touch until now."""
        ways = ((site, CONTROL), (CONTROL, site))
        return all(self._steady(w, now) for w in ways) or self._steady((site, PUBLIC), now)

    def _steady(self, pair: _Pair, now: int) -> bool:
        run = self._runs.get(pair)
        return run is not None and now - run[1] <= LONGEST_GAP and run[1] - run[0] >= STEADY

    def leap(self, sender: str, by: str, now: int) -> None:
        """Calm went on until `now`."""
        began, _ = self._runs.get((sender, by), (now, now))
        self._runs[sender, by] = (began, now)
        self.last[sender] = max(self.last[sender], now)
        self.last[by] = max(self.last[by], now)
