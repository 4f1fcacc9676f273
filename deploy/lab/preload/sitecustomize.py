"""Loaded by every Python process of a site whose clock is wrong (see deploy/lab/wrong_clock.py).

libfaketime that leaves monotonic clocks alone makes the system call below `time.sleep` fail with
EINVAL. Waiting in `select` is the same and works.
"""

import select
import time
from typing import SupportsIndex


def _sleep(seconds: float | SupportsIndex, /) -> None:
    select.select([], [], [], float(seconds))


time.sleep = _sleep
