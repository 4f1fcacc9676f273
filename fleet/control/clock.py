"""Doing something every so many seconds, on the monotonic clock."""

import time


class Every:
    """`due()` is True at most once every `period_s` seconds."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._next = float("-inf")

    def due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._period_s
        return True
