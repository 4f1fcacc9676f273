"""The wall clock of a site's processes: wrong by some seconds."""

from pathlib import Path

from deploy.lab.errors import LabError
from deploy.lab.faults.fleet import ALL, RunningFleet
from deploy.lab.faults.record import Fault, FaultKind
from deploy.lab.paths import LabPaths
from deploy.lab.wrong_clock import library, remove_leftovers

LARGEST_SKEW_S = 86_400.0
READY_WITHIN_S = 90.0


def skew(fleet: RunningFleet, site: str, by_s: float) -> Fault:
    """Set the clocks of all processes of a site wrong by `by_s` seconds, at most a day."""
    fleet.check_sites(site)
    if not abs(by_s) <= LARGEST_SKEW_S:
        raise LabError("a clock can be wrong by at most 86400 s, early or late")
    library()
    file = fleet.paths.clock(site)
    is_first = not file.is_file()
    _write(file, by_s)
    if is_first:
        # Only a process that was started for it follows the file.
        fleet.restart(site, ALL, ready_within_s=READY_WITHIN_S)
    return Fault(kind=FaultKind.SKEW_CLOCK, where=(site,), options={"by_s": by_s})


def right(fleet: RunningFleet, fault: Fault) -> None:
    """Set the clocks right; the processes see them jump back."""
    _write(fleet.paths.clock(fault.where[0]), 0.0)


def forget(paths: LabPaths, sites: tuple[str, ...]) -> None:
    """Let the next start use the machine's clock; no process may run."""
    files = [file for file in map(paths.clock, sites) if file.is_file()]
    for file in files:
        file.unlink()
    if files:
        remove_leftovers()


def _write(file: Path, by_s: float) -> None:
    """In place: the processes read this very file."""
    file.write_text(f"{by_s:+.3f}\n", encoding="utf-8")
