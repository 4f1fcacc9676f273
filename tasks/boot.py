"""Time since this machine was booted, also while it was suspended, and the name of that boot.

A lease is counted on this clock: it does not jump, and goes on while a machine sleeps.
"""

import time
from functools import lru_cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_s() -> float:
    """Seconds since the boot, the time of a suspend included where the system counts it."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(clock) if clock is not None else time.monotonic()


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Names this boot; what was promised in another one is void."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return f"boot-{time.time() - time.monotonic():.0f}"
