"""The API's rate limits: a bucket of calls for each action on each machine or app."""

import time
from collections.abc import Callable
from threading import Lock

#: Calls a second and calls at once: an action on a machine, and reading one.
ACTION = (1.0, 3)
LOOK = (5.0, 10)


class Buckets:
    """Buckets that fill with time and that each call takes one drop from."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._levels: dict[tuple[str, str], tuple[float, float]] = {}

    def take(self, action: str, subject: str) -> bool:
        """Whether the call is within the limit."""
        per_s, burst = LOOK if action == "get" else ACTION
        key = (action, subject)
        with self._lock:
            now_s = self._clock()
            level, at_s = self._levels.get(key, (float(burst), now_s))
            level = min(float(burst), level + (now_s - at_s) * per_s)
            allowed = level >= 1.0
            self._levels[key] = (level - allowed, now_s)
        return allowed
