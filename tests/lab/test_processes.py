"""Processes are started apart, found again by id and birth, and ended with their children."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.lab import ports, processes
from deploy.lab.errors import LabError
from deploy.lab.processes import ProcessRecord, ProcessSpec
from deploy.lab.waiting import wait_until
from deploy.topology import topology

STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
WAIT = "import signal; signal.pause()"
WITH_CHILD = f"import subprocess; subprocess.Popen([sys.executable, '-c', {WAIT!r}])"


class Started:
    """Processes of one test, all ended with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records: list[ProcessRecord] = []

    def python(self, code: str = "", name: str = "sleeper") -> ProcessRecord:
        """A process that says `ready` and then waits for ever."""
        lines = f"import signal, sys\n{code}\nprint('ready', flush=True)\n"
        record = processes.start(
            ProcessSpec(
                site="dc1",
                name=name,
                command=(sys.executable, "-c", f"{lines}signal.pause()"),
                log=self.folder / f"{name}.log",
                cwd=self.folder,
                env=dict(os.environ),
            )
        )
        self.records.append(record)
        wait_until(lambda: "ready" in record.log.read_text(), deadline_s=10, what="the process")
        return record


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    those = Started(tmp_path)
    yield those
    for record in those.records:
        processes.kill(record)


def test_a_started_process_has_a_session_of_its_own_and_a_private_log(started: Started) -> None:
    record = started.python()
    assert processes.is_alive(record)
    assert os.getsid(record.pid) == record.pid != os.getsid(0)
    assert record.log.stat().st_mode & 0o777 == 0o600


def test_stop_ends_it(started: Started) -> None:
    record = started.python()
    processes.stop([record])
    assert not processes.is_alive(record)


def test_stop_ends_one_that_ignores_term(started: Started) -> None:
    record = started.python(STUBBORN)
    processes.stop([record], deadline_s=0.2)
    assert not processes.is_alive(record)


def test_stop_ends_a_paused_one(started: Started) -> None:
    record = started.python()
    assert processes.send(record, signal.SIGSTOP)
    processes.stop([record])
    assert not processes.is_alive(record)


def test_stop_leaves_no_children(started: Started) -> None:
    record = started.python(WITH_CHILD)
    [child] = psutil.Process(record.pid).children()
    processes.stop([record])
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_stop_ends_the_children_of_one_that_was_killed_before(started: Started) -> None:
    record = started.python(WITH_CHILD)
    [child] = psutil.Process(record.pid).children()
    processes.kill(record)
    assert child.is_running()
    processes.stop([record])
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_reused_process_id_is_left_alone(started: Started) -> None:
    record = started.python()
    other = record.model_copy(update={"create_time": record.create_time - 60})
    assert not processes.is_alive(other)
    assert not processes.send(other, signal.SIGKILL)
    processes.stop([other])
    assert processes.is_alive(record)


def test_a_killed_process_is_gone_at_once(started: Started) -> None:
    record = started.python()
    processes.kill(record)
    assert not processes.is_alive(record)
    processes.kill(record)


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    spec = ProcessSpec(
        site="dc1", name="ghost", command=("/no/such/program",), log=tmp_path / "log", cwd=tmp_path
    )
    with pytest.raises(LabError, match="cannot start ghost at dc1"):
        processes.start(spec)


def test_an_early_end_shows_the_end_of_the_log(started: Started) -> None:
    record = started.python("print('the port is taken')")
    told = processes.ended_early(record, "agent of dc1")
    assert "agent of dc1 ended" in str(told)
    assert "the port is taken" in str(told)


def test_settings_of_another_box_do_not_leak_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURTLE_BROKER__USERNAME", "somebody")
    env = processes.base_environment(Path("/venv/bin"))
    assert not [key for key in env if key.startswith("TURTLE_")]
    assert env["PATH"].startswith("/venv/bin:")


def listener(address: str) -> str:
    """Code that listens at an address."""
    host, _, port = address.rpartition(":")
    return f"import socket; s = socket.create_server(({host!r}, {port}))"


def test_an_address_counts_only_for_the_process_that_listens_there(started: Started) -> None:
    address = str(ports.choose(topology(), usual=False).control)
    owner = started.python(listener(address), "owner").model_copy(update={"address": address})
    stranger = started.python("", "stranger").model_copy(update={"address": address})
    assert processes.listens(owner)
    assert not processes.listens(stranger)
    assert not processes.listens(owner.model_copy(update={"address": None}))
    processes.kill(owner)
    assert not processes.listens(owner)
