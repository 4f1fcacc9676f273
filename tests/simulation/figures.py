"""What is measured on the way."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Figures:
    """Durations are true seconds, whatever the agents' clocks say."""

    suspect_after_s: list[float] = field(default_factory=list)
    down_after_s: list[float] = field(default_factory=list)
    first_start_after_s: list[float] = field(default_factory=list)
    last_start_after_renewal_s: list[float] = field(default_factory=list)
    back_to_normal_s: list[float] = field(default_factory=list)
    back_while_damped_s: list[float] = field(default_factory=list)
    starts: int = 0
    starts_after_expiry: int = 0
    activations: int = 0
    #: Leases for outages shorter than the time of confirmation.
    false_activations: int = 0
    failovers: int = 0
    suspicions: int = 0
    #: Suspicions of a site that could be reached all the time.
    false_suspicions: int = 0
    #: Verdicts that accuse somebody, at any site, with no cut, crash or pause behind them.
    false_verdicts: int = 0
    minimal: int = 0
    faults_done: int = 0
    outages: int = 0
    quiet_checks: int = 0
    quiet_put_off: int = 0
    step_backs: int = 0
    lapses_while_ramping: int = 0
    publications: int = 0

    def add(self, other: "Figures") -> None:
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)

    def summary(self) -> dict[str, Any]:
        return {
            name: _spread(value) if isinstance(value, list) else value
            for name, value in asdict(self).items()
        }


def _spread(values: list[float]) -> dict[str, float | int]:
    if not values:
        return {"n": 0}
    ordered = sorted(values)
    return {
        "n": len(ordered),
        "p50": round(_at(ordered, 0.5), 2),
        "p95": round(_at(ordered, 0.95), 2),
        "p99": round(_at(ordered, 0.99), 2),
        "max": round(ordered[-1], 2),
    }


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
