"""A lab of its own for measuring: all processes of the fleet, in a temporary folder."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
from rich.console import Console

from deploy.lab.lifecycle import Lab
from deploy.lab.paths import LabPaths
from deploy.lab.progress import Progress
from deploy.lab.state import LabState
from deploy.topology import topology

DEADLINE_S = 120.0


@contextlib.contextmanager
def fleet() -> Iterator[tuple[LabState, Path]]:
    """Start the lab, point this process at the control plane's configuration, end it again."""
    folder = Path(tempfile.mkdtemp(prefix="turtle-bench-"))
    lab = Lab(paths=LabPaths(folder), topology=topology(), progress=Progress(Console(quiet=True)))
    try:
        state = lab.up()
        os.environ["TURTLE_CONFIG"] = str(folder / "dc3" / "turtle.toml")
        os.environ["DJANGO_SETTINGS_MODULE"] = "turtle_site.settings"
        import django

        django.setup()
        yield state, folder
    finally:
        lab.clean()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def worker(folder: Path, application: str, site: str, *options: str) -> Iterator[int]:
    """A worker with two processes; gives its pid when it takes tasks."""
    environment = {**os.environ, "TURTLE_CONFIG": str(folder / site / "turtle.toml")}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    log = folder / f"bench-{application}.log"
    with log.open("ab") as output:
        start = log.stat().st_size
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "celery",
                "-A",
                application,
                "worker",
                "-l",
                "INFO",
                "--concurrency",
                "2",
                "--without-mingle",
                "--without-gossip",
                *options,
            ],
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        wait(lambda: b" ready." in log.read_bytes()[start:], "the worker")
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()


def wait(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Poll until `condition()`; raises TimeoutError."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {deadline_s} s")
        time.sleep(0.005)


def memory_bytes(pid: int) -> tuple[int, int]:
    """Resident (RSS) and proportional (PSS) memory of a process and its children, bytes."""
    root = psutil.Process(pid)
    everyone = [root, *root.children(recursive=True)]
    full = [p.memory_full_info() for p in everyone]
    return sum(m.rss for m in full), sum(m.pss for m in full)
