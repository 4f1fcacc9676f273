"""Waiting for a condition, with a deadline."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from deploy.lab.errors import NotReadyError

T = TypeVar("T")


def wait_until(
    probe: Callable[[], T | None], *, deadline_s: float, what: str, interval_s: float = 0.05
) -> T:
    """Call `probe` until it returns something true; returns that.

    Raises NotReadyError naming `what` after `deadline_s` seconds. The probe is called at least
    once, and once more at the deadline.
    """
    never = threading.Event()
    end = time.monotonic() + deadline_s
    while True:
        last = time.monotonic() >= end
        found = probe()
        if found:
            return found
        if last:
            raise NotReadyError(f"{what}: not within {deadline_s:g} s")
        never.wait(min(interval_s, max(0.0, end - time.monotonic())))
