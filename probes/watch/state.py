"""One site's watch as a machine of states: no socket, no thread, no clock and no key of its own.

The caller brings the moments, and carries the beats to the others (`probes.watch.watcher` over
UDP, the simulation over a network that it makes up).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from fleet.policy.confirmation import Memory, advance, penalise
from fleet.policy.matrix import Matrix, Row
from fleet.policy.timing import TIMING, Timing
from fleet.policy.verdict import Kind, Verdict, classify
from probes.watch.datagram import Beat, Relayed
from probes.watch.signed import SignedRow
from probes.watch.store import Hearing

#: A peer that has not heard somebody for so many beats is told what that one said.
PASS_ON_AFTER_BEATS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnState:
    """What the own row says of the own site; see `fleet.policy.matrix.Row`."""

    epoch: int = 0
    sentinel: Mapping[str, str] = field(default_factory=dict)
    broker: str = "unknown"
    workers_age_s: float | None = None
    canary_failures: int = 0
    maintenance_left_s: float = 0.0
    version: str = ""
    links: Mapping[str, tuple[float | None, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The matrix and what follows from it, at one moment of the monotonic clock."""

    at_s: float
    matrix: Matrix
    verdicts: Mapping[str, Verdict]
    memories: Mapping[str, Memory]


class Watch:
    """Call `beat` every `timing.beat_s`. `now_s` is always of one monotonic clock.

    Not safe for several threads at once: the caller holds a lock.
    """

    def __init__(
        self,
        site: str,
        sites: Sequence[str],
        control: str,
        sign: Callable[[Row], SignedRow],
        first_seq: int,
        timing: Timing = TIMING,
    ) -> None:
        self.site, self.control, self.sites = site, control, tuple(sites)
        self._sign, self._timing = sign, timing
        self._seq = first_seq
        self.hearing = Hearing(site, sites, control, timing)
        self._memories = {name: Memory() for name in sites}

    def beat(
        self, own: OwnState, now_s: float, peers: Sequence[str]
    ) -> tuple[Snapshot, dict[str, Beat]]:
        """Write the own row and judge anew; what is now known, and what to send to each peer."""
        signed = self._sign(self._row(own, now_s))
        self.hearing.own(signed, now_s)
        beats = {peer: self._beat_for(peer, signed, now_s) for peer in peers}
        return self._judge(now_s), beats

    def take(self, beat: Beat, now_s: float) -> None:
        """A beat arrived."""
        self.hearing.direct(beat.own, now_s)
        for item in beat.relayed:
            self.hearing.relayed(item.signed, item.age_s, now_s)

    def take_rows(self, rows: Sequence[Relayed], now_s: float) -> None:
        """Rows came with a report or its answer."""
        for item in rows:
            self.hearing.passed_on(item.signed, item.age_s, now_s)

    def public_path(self, site: str, now_s: float) -> None:
        """The public path between here and `site` worked just now."""
        self.hearing.public(site, now_s)

    def penalise(self, site: str, points: float, now_s: float) -> None:
        """Damping counts what a return did wrong."""
        self._memories[site] = penalise(self._memories[site], points, now_s, self._timing)

    def own_row(self) -> SignedRow | None:
        """The last row of this site."""
        kept = self.hearing.kept(self.site)
        return kept.signed if kept else None

    def known(self, now_s: float) -> list[Relayed]:
        """Everybody's last row with its age."""
        kept = [self.hearing.kept(site) for site in self.sites]
        return [Relayed(k.signed, max(0.0, now_s - k.written_s)) for k in kept if k is not None]

    def _row(self, own: OwnState, now_s: float) -> Row:
        self._seq += 1
        return Row(
            site=self.site,
            seq=self._seq,
            epoch=own.epoch,
            heard=self.hearing.heard(now_s, own.links),
            sentinel=own.sentinel,
            broker=own.broker,
            workers_age_s=own.workers_age_s,
            canary_failures=own.canary_failures,
            maintenance_left_s=own.maintenance_left_s,
            version=own.version,
        )

    def _beat_for(self, peer: str, own: SignedRow, now_s: float) -> Beat:
        """Rows are passed on only to who seems to miss them: a calm fleet stays quiet."""
        missed = [r for r in self.known(now_s) if self._misses(peer, r.signed.row.site)]
        fresh = [r for r in missed if r.age_s <= self._timing.row_fresh_s]
        return Beat(own, tuple(fresh))

    def _misses(self, peer: str, site: str) -> bool:
        if site in (peer, self.site):
            return False
        row = self.hearing.row(peer)
        word = row.heard.get(site) if row else None
        return word is None or word.silent_s > PASS_ON_AFTER_BEATS * self._timing.beat_s

    def _judge(self, now_s: float) -> Snapshot:
        matrix = self.hearing.matrix(now_s)
        verdicts: dict[str, Verdict] = {}
        for site in self.sites:
            found = classify(
                matrix,
                me=self.site,
                subject=site,
                sites=self.sites,
                control=self.control,
                timing=self._timing,
            )
            self._memories[site], verdicts[site] = advance(
                self._memories[site], found, now_s, self._timing
            )
        return Snapshot(now_s, matrix, verdicts, dict(self._memories))


def down(snapshot: Snapshot) -> tuple[str, ...]:
    """The sites that are confirmed down."""
    return tuple(site for site, v in snapshot.verdicts.items() if v.kind is Kind.DOWN)
