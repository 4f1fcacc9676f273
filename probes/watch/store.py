"""What one site has heard of the others: beats on three paths, and everybody's newest row."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fleet.policy.detector import History, Judgement, heard, judge
from fleet.policy.matrix import Heard, Matrix, Row, Seen, https_works
from fleet.policy.timing import TIMING, Timing
from probes.watch.signed import SignedRow

#: Five minutes of looks, one a second.
LATE_LOOKS = 300
#: A usual round trip follows slowly: what is slow today must not become usual by tonight.
RTT_WEIGHT = 0.002


@dataclass(slots=True)
class _Peer:
    """`*_s` are moments on the monotonic clock; -inf: never."""

    history: History = field(default_factory=History)
    direct_seq: int = 0
    relayed_s: float = float("-inf")
    late: deque[bool] = field(default_factory=lambda: deque(maxlen=LATE_LOOKS))
    rtt_usual_ms: float | None = None
    https_s: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Kept:
    """A row and when its site wrote it, on this site's monotonic clock: an upper bound of its
    age that needs nobody else's clock."""

    signed: SignedRow
    written_s: float


class Hearing:
    """Every method takes `now_s` of one monotonic clock. Not safe for several threads at once:
    the caller holds a lock."""

    def __init__(
        self, site: str, sites: Sequence[str], control: str, timing: Timing = TIMING
    ) -> None:
        self.site = site
        self.control = control
        self.sites = tuple(sites)
        self._timing = timing
        self._rows: dict[str, Kept] = {}
        self._peers = {name: _Peer() for name in sites if name != site}

    def direct(self, signed: SignedRow, now_s: float) -> None:
        """A beat came from the site itself."""
        peer = self._peers.get(signed.row.site)
        if peer is None or signed.row.seq <= peer.direct_seq:
            return
        peer.direct_seq = signed.row.seq
        peer.history = heard(peer.history, now_s, self._timing)
        self._keep(signed, 0.0, now_s)

    def relayed(self, signed: SignedRow, age_s: float, now_s: float) -> None:
        """The third site passed a row on that was `age_s` old."""
        peer = self._peers.get(signed.row.site)
        if peer is None:
            return
        if self._keep(signed, age_s, now_s):
            peer.relayed_s = now_s - age_s

    def public(self, site: str, now_s: float) -> None:
        """The public path between here and `site` worked."""
        peer = self._peers.get(site)
        if peer is not None:
            peer.https_s = now_s

    def passed_on(self, signed: SignedRow, age_s: float, now_s: float) -> None:
        """A row came with a report or its answer: it counts as knowledge, not as a path."""
        if signed.row.site in self._peers:
            self._keep(signed, age_s, now_s)

    def own(self, signed: SignedRow, now_s: float) -> None:
        self._rows[self.site] = Kept(signed, now_s)

    def judgements(self, now_s: float) -> dict[str, Judgement]:
        """The detector's word on each peer; what it concludes is remembered."""
        found = {}
        for name, peer in self._peers.items():
            found[name] = judge(peer.history, now_s, self._timing)
            peer.history = found[name].history
        return found

    def heard(
        self, now_s: float, links: Mapping[str, tuple[float | None, float]]
    ) -> dict[str, Heard]:
        """What the own row says of each peer. `links`: round trip in ms and share of loss."""
        judged = self.judgements(now_s)
        for name, peer in self._peers.items():
            raised = self._timing.alive_phi <= judged[name].phi < self._timing.suspect_phi
            peer.late.append(raised)
            peer.rtt_usual_ms = _usual(peer.rtt_usual_ms, links.get(name, (None, 0.0))[0])
        return {
            name: Heard(
                heard=peer.history.last_s is not None and not judged[name].suspected,
                relayed=now_s - peer.relayed_s <= self._timing.row_fresh_s,
                https=self._https(name, peer, now_s, judged[name].phi >= self._timing.alive_phi),
                phi=round(min(judged[name].phi, 99.0), 1),
                silent_s=round(min(judged[name].silent_s, 1e6), 1),
                rtt_ms=links.get(name, (None, 0.0))[0],
                loss=links.get(name, (None, 0.0))[1],
                late_share=sum(peer.late) / len(peer.late),
                rtt_usual_ms=peer.rtt_usual_ms,
            )
            for name, peer in self._peers.items()
        }

    def matrix(self, now_s: float) -> Matrix:
        """Everybody's newest row with its age."""
        return {
            name: Seen(row=k.signed.row, age_s=now_s - k.written_s)
            for name, k in self._rows.items()
        }

    def kept(self, site: str) -> Kept | None:
        return self._rows.get(site)

    def row(self, site: str) -> Row | None:
        found = self._rows.get(site)
        return found.signed.row if found else None

    def _https(self, name: str, peer: _Peer, now_s: float, raised: bool) -> bool | None:
        if self.control not in (name, self.site):
            return None
        return https_works(now_s - peer.https_s, suspected=raised, timing=self._timing)

    def _keep(self, signed: SignedRow, age_s: float, now_s: float) -> bool:
        """Whether the row is newer than what was known: an old one, sent again, proves nothing."""
        known = self._rows.get(signed.row.site)
        if known is not None and signed.row.seq <= known.signed.row.seq:
            return False
        self._rows[signed.row.site] = Kept(signed, now_s - age_s)
        return True


def _usual(usual_ms: float | None, measured_ms: float | None) -> float | None:
    if usual_ms is None or measured_ms is None:
        return measured_ms if usual_ms is None else usual_ms
    return usual_ms + RTT_WEIGHT * (measured_ms - usual_ms)
