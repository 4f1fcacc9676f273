"""A wall clock that is wrong, for the processes of one site (libfaketime)."""

from functools import cache
from pathlib import Path

import psutil

from deploy.lab.errors import LabError

#: Where Debian's and Fedora's packages put it; the variant for programs with threads.
LIBRARIES = (
    "/usr/lib/*/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
)
#: Mends what the library breaks in Python.
PRELOAD = Path(__file__).parent / "preload"
#: What the library keeps for each process; a process that is killed leaves it behind.
SHARED_MEMORY = (("/dev/shm", "faketime_shm_"), ("/dev/shm", "sem.faketime_sem_"))  # noqa: S108


def wrong_clock(file: Path) -> dict[str, str]:
    """The environment of a process whose clock follows `file`; empty without that file.

    The file is read again each second: a running process sees its clock jump.
    """
    if not file.is_file():
        return {}
    return {
        # The system's own allocator, too: Debian's Redis has another one, which asks for the time
        # before the library is ready, and hangs.
        "LD_PRELOAD": f"{library()}:libc.so.6",
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1",
        # Durations have to stay right: a clock that was set wrong does not change them.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
        "PYTHONPATH": str(PRELOAD),
    }


@cache
def library() -> Path:
    """The library that falsifies the time; raises LabError where it is not installed."""
    for pattern in LIBRARIES:
        for path in sorted(Path("/").glob(pattern.removeprefix("/"))):
            return path
    raise LabError("wrong clocks need libfaketime (Debian: apt-get install faketime)")


def remove_leftovers() -> None:
    """Remove what the library has kept for processes that are gone."""
    for folder, prefix in SHARED_MEMORY:
        for path in Path(folder).glob(f"{prefix}*"):
            pid = path.name.removeprefix(prefix)
            if pid.isdigit() and not _runs(int(pid)):
                path.unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
