"""A site's disk without a free byte."""

import shutil
from contextlib import suppress
from pathlib import Path

from deploy.lab import processes
from deploy.lab.errors import LabError
from deploy.lab.faults.fleet import ALL, STOP_DEADLINE_S, RunningFleet
from deploy.lab.faults.record import Fault, FaultKind
from deploy.lab.namespaces.commands import run
from deploy.lab.paths import LabPaths

#: What the small disk has beside what the site has stored: room to work once it is mended.
ROOM_BYTES = 64 << 20
BLOCK_BYTES = (1 << 20, 4096, 1)
BALLAST = "ballast"
READY_WITHIN_S = 90.0


def fill(fleet: RunningFleet, site: str) -> Fault:
    """Fill the small disk of the site, made before if need be, to the last byte."""
    folder = make_small(fleet, site)
    with (folder / BALLAST).open("ab", buffering=0) as file:
        for size in BLOCK_BYTES:
            with suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass
    return Fault(kind=FaultKind.FILL_DISK, where=(site,))


def make_small(fleet: RunningFleet, site: str) -> Path:
    """Put the site's folder on a small disk of its own, in memory; returns the folder."""
    fleet.check_sites(site)
    folder = fleet.paths.root / site
    if not folder.is_mount():
        _move_to_small_disk(fleet, site, folder)
    return folder


def free(fleet: RunningFleet, fault: Fault) -> None:
    """Make room; the folder stays on its small disk until the lab goes down."""
    (fleet.paths.root / fault.where[0] / BALLAST).unlink(missing_ok=True)


def put_back(paths: LabPaths, sites: tuple[str, ...]) -> None:
    """Put the folders on small disks back, with what was written there; no process may run."""
    for site in sites:
        folder, aside = paths.root / site, _aside(paths, site)
        if folder.is_mount():
            (folder / BALLAST).unlink(missing_ok=True)
            # Copied before the disk goes: what is interrupted here is repeated by the next call.
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(mode=0o700)
            _copy(folder, aside)
            run(("umount", str(folder)))
        if aside.is_dir():
            shutil.rmtree(folder)
            aside.rename(folder)


def _move_to_small_disk(fleet: RunningFleet, site: str, folder: Path) -> None:
    processes.stop(list(fleet.records(site, ALL).values()), deadline_s=STOP_DEADLINE_S)
    size = ROOM_BYTES + sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    aside = _aside(fleet.paths, site)
    folder.rename(aside)
    folder.mkdir(mode=0o700)
    try:
        run(("mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "turtle-lab", str(folder)))
    except LabError:
        folder.rmdir()
        aside.rename(folder)
        raise
    try:
        _copy(aside, folder)
    except BaseException:
        run(("umount", str(folder)))
        folder.rmdir()
        aside.rename(folder)
        raise
    shutil.rmtree(aside)
    fleet.start(site, ALL, ready_within_s=READY_WITHIN_S)


def _copy(source: Path, target: Path) -> None:
    """With times, modes and sockets; Python's own copy cannot do the last."""
    run(("cp", "--archive", f"{source}/.", str(target)))


def _aside(paths: LabPaths, site: str) -> Path:
    return paths.root / f".{site}.aside"
