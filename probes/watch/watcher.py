"""One site's watch: sends its row every beat, takes in the others', and judges."""

import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fleet.policy.confirmation import Memory, advance, penalise
from fleet.policy.matrix import Matrix, Row
from fleet.policy.timing import TIMING, Timing
from fleet.policy.verdict import Kind, Verdict, classify
from probes.watch.datagram import MAX_BYTES, Beat, Relayed, decode, encode, rows_of
from probes.watch.signed import RowReader, RowRefusedError, SignedRow, sign_row
from probes.watch.store import Hearing

#: A peer that has not heard somebody for so many beats is told what that one said.
PASS_ON_AFTER_BEATS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the watch stands. `keys`: site -> base64 of the key that signs its rows;
    `peers`: site -> (host, UDP port)."""

    site: str
    sites: tuple[str, ...]
    control: str
    address: tuple[str, int]
    peers: Mapping[str, tuple[str, int]]
    keys: Mapping[str, str]


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


class Watcher:
    """Call `beat` every `timing.beat_s`, and `listen` in a thread of its own."""

    def __init__(
        self,
        place: Place,
        key: Ed25519PrivateKey,
        own: Callable[[], OwnState],
        first_seq: int,
        timing: Timing = TIMING,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place, self._key, self._own = place, key, own
        self._timing, self._clock = timing, clock
        self._seq = first_seq
        self._hearing = Hearing(place.site, place.sites, place.control, timing)
        self._reader = RowReader(place.keys)
        self._memories = {site: Memory() for site in place.sites}
        self._lock = threading.Lock()
        self._snapshot = Snapshot(clock(), {}, {}, {})
        self.refused = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(place.address)
        self._socket.settimeout(0.5)

    def close(self) -> None:
        self._socket.close()

    def listen(self) -> None:
        """Take in one datagram, or return after half a second without one."""
        try:
            data, _ = self._socket.recvfrom(MAX_BYTES)
        except TimeoutError:
            return
        try:
            beat = decode(data, self._reader)
        except RowRefusedError:
            self.refused += 1
            return
        with self._lock:
            now_s = self._clock()
            self._hearing.direct(beat.own, now_s)
            for item in beat.relayed:
                self._hearing.relayed(item.signed, item.age_s, now_s)

    def beat(self) -> Snapshot:
        """Write the own row, send it, judge anew; returns what is now known."""
        own = self._own()
        with self._lock:
            now_s = self._clock()
            signed = sign_row(self._key, self._row(own, now_s))
            self._hearing.own(signed, now_s)
            beats = {
                peer: encode(self._beat_for(peer, signed, now_s)) for peer in self._place.peers
            }
            self._snapshot = self._judge(now_s)
        for peer, data in beats.items():
            self._send(peer, data)
        return self._snapshot

    def snapshot(self) -> Snapshot:
        """What the last beat found."""
        return self._snapshot

    def own_row(self) -> dict[str, Any] | None:
        """The last row of this site, signed, to go along with a report."""
        with self._lock:
            kept = self._hearing.kept(self._place.site)
        return kept.signed.to_json() if kept else None

    def known_rows(self) -> list[dict[str, Any]]:
        """Everybody's last row with its age, to go along with a report or its answer."""
        with self._lock:
            now_s = self._clock()
            return [r.signed.to_json() | {"age_ms": _ms(r.age_s)} for r in self._known(now_s)]

    def take_rows(self, items: Sequence[Any]) -> None:
        """Rows that came with a report or its answer; what is not signed is left out."""
        try:
            rows = rows_of(items, self._reader)
        except RowRefusedError:
            self.refused += 1
            return
        with self._lock:
            now_s = self._clock()
            for item in rows:
                self._hearing.passed_on(item.signed, item.age_s, now_s)

    def public_path(self, site: str) -> None:
        """The public path between here and `site` worked just now."""
        with self._lock:
            self._hearing.public(site, self._clock())

    def penalise(self, site: str, points: float) -> None:
        """Damping counts what a return did wrong."""
        with self._lock:
            memory = self._memories[site]
            self._memories[site] = penalise(memory, points, self._clock(), self._timing)

    def _row(self, own: OwnState, now_s: float) -> Row:
        self._seq += 1
        return Row(
            site=self._place.site,
            seq=self._seq,
            epoch=own.epoch,
            heard=self._hearing.heard(now_s, own.links),
            sentinel=own.sentinel,
            broker=own.broker,
            workers_age_s=own.workers_age_s,
            canary_failures=own.canary_failures,
            maintenance_left_s=own.maintenance_left_s,
            version=own.version,
        )

    def _beat_for(self, peer: str, own: SignedRow, now_s: float) -> Beat:
        """Rows are passed on only to who seems to miss them: a calm fleet stays quiet."""
        missed = [r for r in self._known(now_s) if self._misses(peer, r.signed.row.site)]
        fresh = [r for r in missed if r.age_s <= self._timing.row_fresh_s]
        return Beat(own, tuple(fresh))

    def _known(self, now_s: float) -> list[Relayed]:
        kept = [self._hearing.kept(site) for site in self._place.sites]
        return [Relayed(k.signed, max(0.0, now_s - k.written_s)) for k in kept if k is not None]

    def _misses(self, peer: str, site: str) -> bool:
        if site in (peer, self._place.site):
            return False
        row = self._hearing.row(peer)
        word = row.heard.get(site) if row else None
        return word is None or word.silent_s > PASS_ON_AFTER_BEATS * self._timing.beat_s

    def _judge(self, now_s: float) -> Snapshot:
        matrix = self._hearing.matrix(now_s)
        verdicts: dict[str, Verdict] = {}
        for site in self._place.sites:
            found = classify(
                matrix,
                me=self._place.site,
                subject=site,
                sites=self._place.sites,
                control=self._place.control,
                timing=self._timing,
            )
            self._memories[site], verdicts[site] = advance(
                self._memories[site], found, now_s, self._timing
            )
        return Snapshot(now_s, matrix, verdicts, dict(self._memories))

    def _send(self, peer: str, data: bytes) -> None:
        try:
            self._socket.sendto(data, self._place.peers[peer])
        except OSError:
            # No route is what a cut looks like from here; the peer's silence will say the same.
            return


def down(snapshot: Snapshot) -> tuple[str, ...]:
    """The sites that are confirmed down."""
    return tuple(site for site, v in snapshot.verdicts.items() if v.kind is Kind.DOWN)


def _ms(age_s: float) -> int:
    return max(0, round(age_s * 1000))
