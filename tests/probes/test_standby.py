"""The standby machine's own two processes: they live and end together."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from deploy.lab.waiting import wait_until
from probes.standby.__main__ import commands
from probes.standby.family import Family
from tasks.settings import load_settings
from tests.environment import write_secret

REPOSITORY = Path(__file__).parents[2]
#: Waits, and writes its name when it was told to end.
OBEDIENT = """
import signal, sys, threading
name, journal = sys.argv[1:]
def end(*_):
    with open(journal, "a") as file:
        file.write(name + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
with open(journal + "." + name, "w"):
    pass
threading.Event().wait()
"""
STUBBORN = "import signal, threading; signal.signal(signal.SIGTERM, signal.SIG_IGN); "


class Running:
    """A family that runs in a thread, with a journal in which its members write."""

    def __init__(self, folder: Path, members: Mapping[str, str], *, within_s: float = 10.0) -> None:
        self.journal = folder / "journal"
        self.pids_file = folder / "state" / "standby.pids.json"
        made = {
            name: (sys.executable, "-c", code, name, str(self.journal))
            for name, code in members.items()
        }
        self.family = Family(made, self.pids_file, within_s=within_s)
        self.code: int | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.code = self.family.run()

    def pids(self) -> dict[str, int]:
        wait_until(self.pids_file.is_file, deadline_s=10, what="the family to start")
        found: dict[str, int] = json.loads(self.pids_file.read_text(encoding="utf-8"))
        return found

    def awaits(self, *names: str) -> None:
        """Until the obedient members of these names listen to TERM."""
        for name in names:
            ready = self.journal.with_name(f"journal.{name}")
            wait_until(ready.is_file, deadline_s=10, what=name)

    def result(self) -> int | None:
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.code


def test_told_to_stop_the_worker_ends_before_the_agent(tmp_path: Path) -> None:
    running = Running(tmp_path, {"agent": OBEDIENT, "worker": OBEDIENT})
    assert set(running.pids()) == {"agent", "worker"}
    running.awaits("agent", "worker")
    running.family.stop()
    assert running.result() == 0
    assert running.journal.read_text(encoding="utf-8").split() == ["worker", "agent"]
    assert not running.pids_file.exists()


@pytest.mark.parametrize(
    ("end", "code"), [("import sys; sys.exit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)]
)
def test_a_worker_that_ends_takes_the_agent_with_it_and_its_code_is_told(
    tmp_path: Path, end: str, code: int
) -> None:
    ready = f"import pathlib; flag = pathlib.Path(r'{tmp_path / 'journal.agent'}')\n"
    wait = "import threading\nwhile not flag.is_file(): threading.Event().wait(0.01)\n"
    running = Running(tmp_path, {"agent": OBEDIENT, "worker": ready + wait + end})
    assert running.result() == code
    assert running.journal.read_text(encoding="utf-8").split() == ["agent"]


def test_an_agent_that_ends_takes_the_worker_with_it(tmp_path: Path) -> None:
    running = Running(tmp_path, {"agent": OBEDIENT, "worker": OBEDIENT})
    pids = running.pids()
    running.awaits("agent", "worker")
    os.kill(pids["agent"], signal.SIGKILL)
    assert running.result() == 137
    assert running.journal.read_text(encoding="utf-8").split() == ["worker"]


def test_one_that_does_not_end_is_killed(tmp_path: Path) -> None:
    flag = "import sys, pathlib; pathlib.Path(sys.argv[2] + '.worker').touch(); "
    stubborn = STUBBORN + flag + "threading.Event().wait()"
    running = Running(tmp_path, {"agent": OBEDIENT, "worker": stubborn}, within_s=0.3)
    worker = psutil.Process(running.pids()["worker"])
    running.awaits("agent", "worker")
    running.family.stop()
    assert running.result() == 0
    assert not worker.is_running()


def config(folder: Path, *, standby: bool) -> Path:
    secret = write_secret(folder / "password", "not-used")
    file = folder / "turtle.toml"
    file.write_text(
        f"""site = "dc3"
box = "standby-1"
capabilities = ["dev", "network", "standby"]
standby = {str(standby).lower()}
state_dir = "{folder}/state"
[broker]
sentinels = ["127.0.0.1:1"]
username = "worker-dc3"
password_file = "{secret}"
sentinel_password_file = "{secret}"
""",
        encoding="utf-8",
    )
    return file


def test_the_worker_is_named_for_its_box_and_gets_the_further_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURTLE_CONFIG", str(config(tmp_path, standby=True)))
    found = commands(load_settings(), ["--concurrency", "2"])
    assert list(found) == ["agent", "worker"]
    assert found["agent"][1:] == ("-m", "probes.agent")
    assert "standby-1@dc3" in found["worker"]
    assert found["worker"][-2:] == ("--concurrency", "2")


def test_a_box_that_is_not_the_standby_is_refused_with_the_remedy(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "probes.standby"],
        cwd=REPOSITORY,
        env={**os.environ, "TURTLE_CONFIG": str(config(tmp_path, standby=False))},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 78
    assert "standby = true" in done.stderr
    assert "Traceback" not in done.stderr
