"""Runs of one or several worlds, and what they say."""

import hashlib
import time
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.checks import ViolationError
from tests.simulation.clock import seconds
from tests.simulation.faults import plan_of
from tests.simulation.figures import Figures
from tests.simulation.world import World

#: A longer run is made of several worlds: each has other clocks and another network.
CHUNK_HOURS = 12.0


@dataclass(slots=True)
class Result:
    seed: int
    hours: float
    faults: str
    sha256: str = ""
    events: int = 0
    left_out_hours: float = 0.0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    figures: Figures = field(default_factory=Figures)
    violation: str = ""
    again: str = ""
    last: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "hours": self.hours,
            "faults": self.faults,
            "sha256": self.sha256,
            "events": self.events,
            "hours_left_out_as_calm": round(self.left_out_hours, 2),
            "wall_s": round(self.wall_s, 2),
            "cpu_s": round(self.cpu_s, 2),
            "hours_per_wall_s": round(self.hours / self.wall_s, 2) if self.wall_s else 0.0,
            "hours_per_cpu_s": round(self.hours / self.cpu_s, 2) if self.cpu_s else 0.0,
            "violation": self.violation,
            "again": self.again,
            "last_events": self.last,
            **self.figures.summary(),
        }


def simulate(
    seed: int,
    hours: float,
    faults: str = "all",
    *,
    leaps: bool = True,
    chunk_hours: float = CHUNK_HOURS,
) -> Result:
    """Worlds of `chunk_hours` each, from `seed` on; ends with the first violation."""
    result, digest = Result(seed, 0.0, faults), hashlib.sha256()
    wall_s, cpu_s = time.monotonic(), time.process_time()
    number = 0
    while result.hours < hours and not result.violation:
        one = min(chunk_hours, hours - result.hours)
        digest.update(_one(result, seed + number, one, faults, leaps).encode())
        result.hours += one
        number += 1
    result.sha256 = digest.hexdigest()
    result.wall_s, result.cpu_s = time.monotonic() - wall_s, time.process_time() - cpu_s
    return result


def _one(result: Result, seed: int, hours: float, faults: str, leaps: bool) -> str:
    world = World(seed, plan_of(faults, seed, hours), leaps=leaps)
    try:
        world.run(hours)
    except ViolationError as error:
        at_s = seconds(world.queue.now)
        result.violation = f"seed {seed}, at {at_s:.3f} s: {error}"
        result.again = (
            f"again: python -m tests.simulation --seed {seed} --hours {hours:g}"
            f" --chunk {hours:g} --faults {faults}" + ("" if leaps else " --no-leaps")
        )
        result.last = list(world.trace.last)
    result.events += world.queue.done
    result.left_out_hours += seconds(world.leaper.leapt) / 3600 if world.leaper else 0.0
    result.figures.add(world.figures)
    return world.trace.hexdigest()
