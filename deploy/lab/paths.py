"""Where the lab keeps its state."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class LabPaths:
    """Names of files and folders below the lab's root."""

    root: Path

    @property
    def lab_json(self) -> Path:
        return self.root / "lab.json"

    @property
    def addresses(self) -> Path:
        return self.root / "addresses.json"

    @property
    def provision(self) -> Path:
        return self.root / "provision.json"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def faults(self) -> Path:
        """Which faults are on."""
        return self.root / "faults.json"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    def everything(self, sites: Iterable[str]) -> tuple[Path, ...]:
        """All that the lab makes below its root."""
        files = (self.lab_json, self.addresses, self.provision, self.lock)
        faults = (self.faults, self.faults.with_suffix(".lock"))
        return (*files, *faults, self.secrets, *(self.root / site for site in sites))

    def config(self, site: str) -> Path:
        return self.root / site / "turtle.toml"

    def clock(self, site: str) -> Path:
        """How wrong the clocks of the site's processes are; only where they were made wrong."""
        return self.root / site / "clock"

    def log(self, site: str, process: str) -> Path:
        return self.root / site / "log" / f"{process}.log"

    def work(self, site: str) -> Path:
        """The folder that `dev` tasks of the site may touch."""
        return self.root / site / "work"

    def standby(self, site: str) -> Path:
        """The folder of the site's standby box: its `turtle.toml`, `state` and `work`."""
        return self.root / site / "standby"

    def machines(self, site: str) -> Path:
        """The folder of the simulated machines of the site: their states and logs."""
        return self.root / site / "machines"

    def state(self, site: str) -> Path:
        """The folder of the site's journal and kept results."""
        return self.root / site / "state"


def lab_paths() -> LabPaths:
    """The lab in use: `$TURTLE_LAB_DIR`, else `.turtle` in the repository."""
    return LabPaths(Path(os.environ.get("TURTLE_LAB_DIR") or REPOSITORY / ".turtle").absolute())
