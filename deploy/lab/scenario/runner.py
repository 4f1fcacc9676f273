"""Play scenarios one after the other on one lab."""

import os
import tomllib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deploy.lab.errors import LabError
from deploy.lab.files import private_folder
from deploy.lab.paths import LabPaths
from deploy.lab.scenario.effect_files import KEPT
from deploy.lab.scenario.play import Play
from deploy.lab.scenario.report import Report
from deploy.lab.scenario.result import Result
from deploy.lab.scenario.script import Scenario
from deploy.lab.scenario.stage import Stage

#: Read when the lab's configuration is written.
TIME_SCALE = "TURTLE_LAB_TIME_SCALE"


@dataclass(kw_only=True)
class Runner:
    """A run over several scenarios; results are told as they come."""

    stage: Stage
    seed: int
    time_scale: float
    tell: Callable[[int, int, Result], None]

    def run(self, scenarios: Sequence[Scenario]) -> tuple[Report, Path]:
        """Play all; returns the report and the run's folder, where `report.json` grows."""
        folder = private_folder(self._folder())
        os.environ[TIME_SCALE] = f"{self.time_scale:g}"
        self.stage.up()
        scale = self._scale_of_the_lab()
        report = Report(seed=self.seed, time_scale=scale)
        for number, scenario in enumerate(scenarios, 1):
            play = Play(
                stage=self.stage,
                scenario=scenario,
                folder=private_folder(folder / scenario.name),
                seed=self.seed,
                time_scale=scale,
            )
            report.results.append(play.run())
            report.write(folder)
            self.tell(number, len(scenarios), report.results[-1])
        return report, folder

    def _folder(self) -> Path:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        return self.stage.paths.root / KEPT / f"{stamp}-seed-{self.seed}"

    def _scale_of_the_lab(self) -> float:
        """As the boxes have it. Raises LabError for a lab that runs with another one."""
        scales = {_scale(self.stage.paths, site) for site in self.stage.topology.names}
        if scales != {self.time_scale}:
            found = ", ".join(f"{scale:g}" for scale in sorted(scales))
            raise LabError(
                f"the lab runs with time scale {found}, not {self.time_scale:g}. "
                "Run: turtle lab down, then try again"
            )
        return self.time_scale


def _scale(paths: LabPaths, site: str) -> float:
    with suppress(OSError, ValueError):
        return float(tomllib.loads(paths.config(site).read_text()).get("time_scale", 1.0))
    return 1.0
