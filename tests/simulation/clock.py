"""Virtual time, exact: whole ticks for the world, and clocks that run a little fast or slow.

A tick is 2**-18 s and a clock's rate a multiple of 2**-12, so that every moment and every
difference of moments is a float without rounding. What an agent does therefore depends on
differences only, never on how late in the run it is; leaving out calm stretches rests on that.
"""

TICKS_A_SECOND = 1 << 18
RATE_ONE = 1 << 12
UNITS_A_SECOND = TICKS_A_SECOND * RATE_ONE
#: As far as a clock may be off: 40 / 4096 is 0.98 %, the fleet allows 1 %.
MOST_DRIFT = 40


def ticks(seconds: float) -> int:
    return round(seconds * TICKS_A_SECOND)


def seconds(number: int) -> float:
    return number / TICKS_A_SECOND


class Clock:
    """One machine's clocks: time since boot (with its own rate), and wall time (with a skew)."""

    def __init__(self, name: str, drift: int, booted: int) -> None:
        """`drift` in 1 / 4096, `booted` in ticks (negative: before the simulation)."""
        self.name, self.rate, self.booted = name, RATE_ONE + drift, booted
        self.boots = 1
        self.skew_s = 0.0

    def s(self, now: int) -> float:
        """What the clock shows: seconds since the boot."""
        return (now - self.booted) * self.rate / UNITS_A_SECOND

    def wall_s(self, now: int) -> float:
        return now / TICKS_A_SECOND + self.skew_s

    def span(self, local_s: float) -> int:
        """The ticks in which this clock advances by so much, rounded up."""
        return -(-int(local_s * UNITS_A_SECOND) // self.rate)

    def reboot(self, now: int) -> None:
        self.booted, self.boots = now, self.boots + 1

    def stand_still(self, for_ticks: int) -> None:
        """A machine that was suspended, and whose clock knows nothing of it."""
        self.booted += for_ticks

    @property
    def boot_id(self) -> str:
        return f"{self.name}-{self.boots}"
