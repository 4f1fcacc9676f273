"""The network: directed ways that are open or cut, late, lossy, all of it made from the seed.

What happens to a message depends on the seed, its way and the moment it was sent, and on no
counter: it is the same whether the messages before it were simulated or left out.
"""

from collections import Counter

from tests.simulation.clock import ticks

SITES = ("dc1", "dc2", "dc3")
LANS = ("dc1", "dc2")
CONTROL = "dc3"
STANDBY = "standby"
#: Beats go over the overlay, requests over the public net.
OVERLAY, PUBLIC = "overlay", "public"
Way = tuple[str, str, str]  # plane, from, to

_MASK = (1 << 64) - 1
LEAST_LATENCY = ticks(0.004)
LATENCY_SPAN = ticks(0.04)
#: One message of a thousand is late by up to this much more. In all stays below a beat.
RARE_DELAY = ticks(0.4)
MOST_RESENDS = 6


def mix(number: int) -> int:
    """64 well mixed bits (the last steps of splitmix64)."""
    number &= _MASK
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    number = (number ^ number >> 27) * 0x94D049BB133111EB & _MASK
    return number ^ number >> 31


class Network:
    def __init__(self, seed: int) -> None:
        self._seed = mix(seed + 0x9E3779B97F4A7C15)
        nodes = (*SITES, STANDBY)
        ways = [(p, i, j) for p in (OVERLAY, PUBLIC) for i in nodes for j in nodes if i != j]
        self._salt = {way: mix(self._seed + n) for n, way in enumerate(ways)}
        self._cuts: Counter[Way] = Counter()
        self._loss: dict[Way, list[float]] = {}
        self._slow: dict[Way, list[float]] = {}

    # -- faults -------------------------------------------------------------------------------

    def cut(self, ways: list[Way]) -> None:
        self._cuts.update(ways)

    def mend(self, ways: list[Way]) -> None:
        self._cuts.subtract(ways)

    def lose(self, ways: list[Way], share: float) -> None:
        for way in ways:
            self._loss.setdefault(way, []).append(share)

    def keep(self, ways: list[Way], share: float) -> None:
        for way in ways:
            self._loss[way].remove(share)

    def slow(self, ways: list[Way], most_s: float) -> None:
        for way in ways:
            self._slow.setdefault(way, []).append(most_s)

    def speed(self, ways: list[Way], most_s: float) -> None:
        for way in ways:
            self._slow[way].remove(most_s)

    # -- messages -----------------------------------------------------------------------------

    def open(self, way: Way) -> bool:
        return self._cuts[way] <= 0

    def linked(self, i: str, j: str) -> bool:
        """A connection over the overlay between the two is possible."""
        return self.open((OVERLAY, i, j)) and self.open((OVERLAY, j, i))

    def datagram(self, way: Way, sent: int) -> int | None:
        """When it arrives; None: never."""
        if self._cuts[way] > 0:
            return None
        bits = mix(self._salt[way] + sent)
        losses = self._loss.get(way)
        if losses and (bits >> 40) / (1 << 24) < max(losses):
            return None
        return sent + self._latency(way, bits)

    def segment(self, way: Way, sent: int) -> int | None:
        """As `datagram`, over TCP: what is lost is sent again, a little later each time."""
        if self._cuts[way] > 0:
            return None
        delay, share = 0, max(self._loss.get(way) or [0.0])
        for resend in range(MOST_RESENDS):
            bits = mix(self._salt[way] + sent + delay)
            if (bits >> 40) / (1 << 24) >= share:
                return sent + delay + self._latency(way, bits)
            delay += ticks(0.2 * 2**resend)
        return None

    def calm_arrival(self, way: Way, sent: int) -> int:
        """As `datagram` when nothing is wrong."""
        return sent + _calm_latency(mix(self._salt[way] + sent))

    def _latency(self, way: Way, bits: int) -> int:
        slow = self._slow.get(way)
        calm = _calm_latency(bits)
        return calm + int(ticks(max(slow)) * (bits >> 24 & 0xFFFF) / 0x10000) if slow else calm

    def chance(self, what: int, now: int) -> float:
        """A number from 0 to 1 for anything else that the seed decides."""
        return (mix(self._seed ^ mix(what * 0x9E3779B97F4A7C15 + now)) >> 11) / (1 << 53)


def _calm_latency(bits: int) -> int:
    rare = (bits >> 16 & 0xFFFF) * RARE_DELAY >> 16 if bits & 0x3FF00000000 == 0 else 0
    return LEAST_LATENCY + ((bits & 0xFFFF) * LATENCY_SPAN >> 16) + rare
