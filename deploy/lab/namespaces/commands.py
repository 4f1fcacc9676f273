"""The system's own programs, called with their complaints told."""

import os
import shutil
import subprocess
from collections.abc import Sequence

from deploy.lab.errors import LabError

TIME_LIMIT_S = 20.0
#: Program and the Debian package that brings it.
PROGRAMS = {"ip": "iproute2", "nft": "nftables", "nsenter": "util-linux"}
WITHOUT_ROOT = (
    "unshare --user --map-root-user --net --mount sh -c "
    "'mount -t tmpfs tmpfs /run && ip link set lo up && exec sh'"
)


def require() -> None:
    """Raises LabError, saying what to do, where namespaces cannot be made."""
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        raise LabError(
            f"the namespaces driver needs more programs. Run: apt-get install {' '.join(missing)}"
        )
    if os.geteuid() != 0:
        raise LabError(
            "the namespaces driver needs root. Run it with sudo, or in a shell of its own "
            f"without root: {WITHOUT_ROOT}"
        )


def ip(*arguments: str) -> str:
    """Run `ip`; returns its output, raises LabError with its complaint."""
    return run(("ip", *arguments))


def run(command: Sequence[str], text: str = "") -> str:
    """Run a command with `text` as its input; raises LabError with its complaint."""
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIME_LIMIT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{command[0]} could not be run: {error}") from error
    if done.returncode:
        raise LabError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout
