"""Staying below the provider's rate limits, so that a call that matters is not refused."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `per_s` calls a second, of which `burst` may come at once."""

    per_s: float
    burst: int


#: fly's documentation, "Rate Limits": 1/s per action and machine, 5/s for reading a machine. A
#: tenth less: a call that was longer under way than the next one makes the gap between them short.
ACTION = Limit(per_s=0.9, burst=3)
LOOK = Limit(per_s=4.5, burst=10)


class Pacer:
    """Delays calls of one kind until their turn. Safe for several threads.

    `clock` gives monotonic seconds, `pause` waits for some.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self._clock = clock
        self._pause = pause or threading.Event().wait
        self._lock = threading.Lock()
        self._next_s: dict[tuple[str, str], float] = {}

    def wait_turn(self, action: str, subject: str, limit: Limit) -> None:
        """Return when `action` on `subject` may be called."""
        delay_s = self._reserve((action, subject), limit)
        if delay_s > 0:
            self._pause(delay_s)

    def _reserve(self, key: tuple[str, str], limit: Limit) -> float:
        """Take the next turn; returns how long to wait for it, seconds."""
        interval_s = 1.0 / limit.per_s
        with self._lock:
            now_s = self._clock()
            due_s = max(self._next_s.get(key, now_s), now_s)
            self._next_s[key] = due_s + interval_s
        return max(0.0, due_s - (limit.burst - 1) * interval_s - now_s)
