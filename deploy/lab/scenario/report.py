"""The report of a run: all results, the figures over all cases, JSON and Markdown."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.lab.history.figures import summary
from deploy.lab.scenario.result import Result, Status


@dataclass(frozen=True, slots=True)
class Target:
    """A figure that is held against its aim: per case, the worst or a percentile over all cases.

    `most`: what it should be at most. Only cases in which it was measured count.
    """

    title: str
    key: str
    percentile: str
    most: float


#: The aims of the resilience design, for unscaled runs.
TARGETS = (
    Target(
        "Fault to the first replicated write at a new master, s", "new_master_after_s", "p95", 8
    ),
    Target("Fault to the first start of a new task, s", "new_task_started_after_s", "p95", 15),
    Target("Fault to the first start on the standby, s", "standby_started_after_s", "p95", 45),
    Target("Two masters accepting plain writes, s", "two_masters_plain_s", "max", 0),
    Target("Two masters acknowledging replicated writes, s", "two_masters_wait_s", "max", 0),
    Target("Share of tasks started more than once", "repeated_starts_share", "max", 0.02),
)


@dataclass(kw_only=True)
class Report:
    """Results in the order in which they were played."""

    seed: int
    time_scale: float
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    results: list[Result] = field(default_factory=list)

    @property
    def green(self) -> bool:
        """Whether every case was green, and there was one at all."""
        return bool(self.results) and all(r.status is Status.GREEN for r in self.results)

    def as_json(self) -> dict[str, Any]:
        """Plain values; `time_scale` below 1 says that the figures are not comparable."""
        return {
            "began": self.began.isoformat(),
            "seed": self.seed,
            "time_scale": self.time_scale,
            "green": self.green,
            "counts": dict(Counter(str(one.status) for one in self.results)),
            "totals": totals(self.results),
            "figures": [
                {"title": t.title, "aim": t.most, "over": t.percentile, **values(t, self.results)}
                for t in TARGETS
            ],
            "cases": [one.as_json() for one in self.results],
        }

    def write(self, folder: Path) -> Path:
        """Store `report.json`; returns its path."""
        path = folder / "report.json"
        path.write_text(json.dumps(self.as_json(), indent=2) + "\n", encoding="utf-8")
        return path


def totals(results: Iterable[Result]) -> dict[str, int]:
    """Tasks and broken rules over all cases."""
    found: Counter[str] = Counter()
    for one in results:
        found.update({k: int(one.figures.get(k, 0)) for k in ("accepted", "started")})
        found["repeated_starts"] += int(one.figures.get("repeated_starts", 0))
        found.update(one.rules)
    return dict(found)


def values(target: Target, results: Sequence[Result]) -> dict[str, Any]:
    """In how many cases it was measured, and its percentiles over them."""
    measured = [float(v) for one in results if (v := one.figures.get(target.key)) is not None]
    found = summary(measured)
    reached = bool(measured) and found[target.percentile] <= target.most
    return {"cases": len(measured), **found, "reached": reached if measured else None}
