"""A box for the tests of dev tasks: its configuration, repositories, and watching processes."""

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tasks.app import app
from tasks.settings import settings

GIT_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_AUTHOR_DATE": "2026-01-02T03:04:05+02:00",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_COMMITTER_DATE": "2026-01-02T03:04:05+02:00",
}


@dataclass
class Box:
    """Folders of a box; `root` is open to dev tasks, `outside` is not."""

    root: Path
    outside: Path
    state: Path
    monkeypatch: pytest.MonkeyPatch
    dev: dict[str, str] = field(default_factory=dict)

    def configure(self, **dev: str) -> None:
        """Write turtle.toml anew; the values are TOML texts of keys in [dev]."""
        self.dev |= dev
        lines = "".join(f"{key} = {value}\n" for key, value in self.dev.items())
        config = self.state / "turtle.toml"
        config.write_text(
            f"""site = "dc1"
box = "mini-1"
state_dir = "{self.state}"
[broker]
sentinels = ["127.0.0.1:1"]
username = "worker-dc1"
password_file = "{self.state}/password"
sentinel_password_file = "{self.state}/password"
[dev]
{lines}""",
            encoding="utf-8",
        )
        self.monkeypatch.setenv("TURTLE_CONFIG", str(config))
        settings.cache_clear()


@contextlib.contextmanager
def make_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    """A box of its own; afterwards the suite's configuration counts again."""
    # Celery reads the configuration once a process: that must be the suite's, not this box's.
    assert app.conf.task_ignore_result
    root, outside, state = (tmp_path / name for name in ("root", "outside", "state"))
    for folder in (root, outside, state):
        folder.mkdir()
    (tmp_path / "state" / "password").touch(mode=0o600)
    box = Box(root, outside, state, monkeypatch)
    try:
        box.configure(roots=f'["{box.root}"]')
        yield box
    finally:
        settings.cache_clear()


def git(folder: Path, *arguments: str) -> str:
    """Run git as a developer would, and return what it wrote."""
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env=GIT_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def make_repository(folder: Path, *subjects: str) -> Path:
    """A repository on branch main with one commit a subject, each adding one file."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    for number, subject in enumerate(subjects):
        add_commit(folder, f"file{number}.txt", subject)
    return folder


def add_commit(folder: Path, name: str, subject: str) -> str:
    """Commit a new file and return the commit's hash."""
    (folder / name).write_text(subject, encoding="utf-8")
    git(folder, "add", name)
    git(folder, "commit", "--quiet", "-m", subject)
    return git(folder, "rev-parse", "HEAD")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def git_daemon(folder: Path) -> Iterator[tuple[Path, str]]:
    """Serve the repositories in a new folder; gives the folder and the URL of it."""
    folder.mkdir()
    port = free_port()
    daemon = subprocess.Popen(
        [
            f"{git(folder, '--exec-path')}/git-daemon",
            "--export-all",
            "--reuseaddr",
            "--listen=127.0.0.1",
            f"--port={port}",
            f"--base-path={folder}",
            str(folder),
        ],
        env=GIT_ENVIRONMENT,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert eventually(lambda: answers(port))
        yield folder, f"git://127.0.0.1:{port}"
    finally:
        daemon.terminate()
        daemon.wait()


def eventually(happens: Callable[[], bool], within_s: float = 10.0) -> bool:
    """Wait until `happens()`; False when it did not within the time."""
    deadline = time.monotonic() + within_s
    while not happens():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.02)
    return True


def running(marker: str) -> int:
    """How many living processes have `marker` as an argument of its own."""
    return sum(
        marker in (process.info["cmdline"] or ())
        for process in psutil.process_iter(["cmdline", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE
    )
