"""Naming a process for good: a pid alone may be used again."""

import os
from functools import lru_cache

import psutil

#: The kernel counts a process's start in ticks of 10 ms.
_TICK_S = 0.05


@lru_cache(maxsize=8)
def _started(pid: int) -> float:
    return float(psutil.Process(pid).create_time())


def own_process() -> tuple[int, float]:
    """This process's pid and start, seconds since the epoch."""
    pid = os.getpid()
    return pid, _started(pid)


def is_alive(pid: int, started: float) -> bool:
    """Whether the process with this pid and start still runs (a zombie does not)."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < _TICK_S
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
