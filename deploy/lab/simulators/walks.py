"""Numbers that move with time: seeded random walks and counters that add them up."""

from random import Random


class Walk:
    """A value that wanders between `low` and `high`, one step a second, and glides between.

    The same seed gives the same values at the same times. Time must not run backwards.
    """

    def __init__(self, seed: str, low: float, high: float, step: float) -> None:
        self._random = Random(seed)  # noqa: S311 - for looks, not for secrets
        self._low, self._high, self._step = low, high, step
        self._tick = 0
        self._here = self._random.uniform(low, high)
        self._next = self._stepped(self._here)

    def at(self, elapsed_s: float) -> float:
        """The value `elapsed_s` seconds after the start."""
        tick = int(elapsed_s)
        while self._tick < tick:
            self._here, self._next = self._next, self._stepped(self._next)
            self._tick += 1
        return self._here + (self._next - self._here) * (elapsed_s - self._tick)

    def _stepped(self, value: float) -> float:
        # A pull to the middle keeps it from sticking to a border.
        pull = ((self._low + self._high) / 2 - value) * 0.02
        moved = value + pull + self._random.uniform(-self._step, self._step)
        return min(self._high, max(self._low, moved))


class Counter:
    """A total that grows by a rate; it never falls."""

    def __init__(self, start: float = 0.0) -> None:
        self._total = start
        self._at_s = 0.0

    def add(self, rate_per_s: float, elapsed_s: float) -> int:
        """Add the time since the last call at this rate; the total now."""
        self._total += max(0.0, rate_per_s) * max(0.0, elapsed_s - self._at_s)
        self._at_s = max(self._at_s, elapsed_s)
        return int(self._total)
