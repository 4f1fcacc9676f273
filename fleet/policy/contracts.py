"""What a task declares about itself: the values that every layer reads."""

from dataclasses import dataclass
from enum import StrEnum

from fleet.policy.effects import EffectClass


class ResultPlace(StrEnum):
    """Where a task's result may go."""

    REPORTED = "reported"  # to the control plane, unless it is above the size limit
    LOCAL = "local"  # nothing but status and summary leaves the site


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskContract:
    """The declaration of one task.

    `max_attempts` counts the first; `backoff_s` is the first delay between attempts, doubled
    each time up to `backoff_max_s`; `time_limit_s` ends a run hard, `soft_time_limit_s` lets it
    clean up.
    """

    name: str
    capability: str
    effect: EffectClass = EffectClass.D
    max_attempts: int = 3
    backoff_s: float = 1.0
    backoff_max_s: float = 300.0
    time_limit_s: float = 300.0
    soft_time_limit_s: float | None = None
    result: ResultPlace = ResultPlace.REPORTED
    summary: str = ""
