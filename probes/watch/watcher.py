"""One site's watch over UDP: sends its row every beat and takes in the others'."""

import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fleet.policy.timing import TIMING, Timing
from probes.watch.datagram import MAX_BYTES, decode, encode, rows_of
from probes.watch.signed import RowReader, RowRefusedError, sign_row
from probes.watch.state import OwnState, Snapshot, Watch, down

__all__ = ["OwnState", "Place", "Snapshot", "Watcher", "down"]


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
        self._place, self._own, self._clock = place, own, clock
        self._reader = RowReader(place.keys)
        sign = partial(sign_row, key)
        self._watch = Watch(place.site, place.sites, place.control, sign, first_seq, timing)
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
            self._watch.take(beat, self._clock())

    def beat(self) -> Snapshot:
        """Write the own row, send it, judge anew; returns what is now known."""
        own = self._own()
        with self._lock:
            self._snapshot, beats = self._watch.beat(own, self._clock(), tuple(self._place.peers))
        for peer, beat in beats.items():
            self._send(peer, encode(beat))
        return self._snapshot

    def snapshot(self) -> Snapshot:
        """What the last beat found."""
        return self._snapshot

    def own_row(self) -> dict[str, Any] | None:
        """The last row of this site, signed, to go along with a report."""
        with self._lock:
            signed = self._watch.own_row()
        return signed.to_json() if signed else None

    def known_rows(self) -> list[dict[str, Any]]:
        """Everybody's last row with its age, to go along with a report or its answer."""
        with self._lock:
            known = self._watch.known(self._clock())
        return [r.signed.to_json() | {"age_ms": round(r.age_s * 1000)} for r in known]

    def take_rows(self, items: Sequence[Any]) -> None:
        """Rows that came with a report or its answer; what is not signed is left out."""
        try:
            rows = rows_of(items, self._reader)
        except RowRefusedError:
            self.refused += 1
            return
        with self._lock:
            self._watch.take_rows(rows, self._clock())

    def public_path(self, site: str) -> None:
        """The public path between here and `site` worked just now."""
        with self._lock:
            self._watch.public_path(site, self._clock())

    def penalise(self, site: str, points: float) -> None:
        """Damping counts what a return did wrong."""
        with self._lock:
            self._watch.penalise(site, points, self._clock())

    def _send(self, peer: str, data: bytes) -> None:
        try:
            self._socket.sendto(data, self._place.peers[peer])
        except OSError:
            # No route is what a cut looks like from here; the peer's silence will say the same.
            return
