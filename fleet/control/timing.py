"""The intervals of this control plane: as written, or shrunk for a lab."""

from functools import lru_cache

from fleet.policy.timing import TIMING, Timing
from tasks.settings import settings


@lru_cache(maxsize=1)
def timing() -> Timing:
    """`time_scale` of the configuration applied to every interval."""
    scale = settings().time_scale
    return TIMING if scale == 1 else TIMING.scaled(scale)
