"""`turtle lab`: what it says, and that `down` leaves nothing running."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from deploy.cli import app
from deploy.lab import follow, ports, processes
from deploy.lab.errors import LabError
from deploy.lab.files import write_private
from deploy.lab.lifecycle import Lab
from deploy.lab.paths import LabPaths
from deploy.lab.processes import ProcessRecord, ProcessSpec
from deploy.lab.progress import Progress
from deploy.lab.site_files import SiteFiles
from deploy.lab.state import LabState, SiteState, lab_lock, read_state, write_state
from deploy.topology import topology


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabPaths:
    monkeypatch.setenv("TURTLE_LAB_DIR", str(tmp_path / "lab"))
    return LabPaths(tmp_path / "lab")


@pytest.fixture
def running(paths: LabPaths) -> Iterator[dict[str, ProcessRecord]]:
    """A lab whose processes are sleepers."""
    names = {"dc1": ("redis", "worker"), "dc2": ("sentinel", "surprise"), "dc3": ("control",)}
    sites = {}
    for site, process_names in names.items():
        records = {name: sleeper(paths, site, name) for name in process_names}
        sites[site] = SiteState(redis="a:1", sentinel="a:2", agent="a:3", processes=records)
    write_state(paths, state_with(sites))
    chosen = ports.choose(topology(), usual=False)
    write_private(paths.addresses, chosen.model_dump_json())
    every = {f"{s}/{n}": r for s, state in sites.items() for n, r in state.processes.items()}
    yield every
    for record in every.values():
        processes.kill(record)


def state_with(sites: dict[str, SiteState]) -> LabState:
    return LabState(
        control_url="http://a:4",
        api_url="http://a:4/api/v1",
        api_token="tf_operator",
        read_token="tf_reader",
        admin_user="admin",
        admin_password="secret",
        flower_url="http://a:4/flower/",
        sites=sites,
    )


def sleeper(paths: LabPaths, site: str, name: str) -> ProcessRecord:
    return processes.start(
        ProcessSpec(
            site=site,
            name=name,
            command=(sys.executable, "-c", "import signal; signal.pause()"),
            log=paths.log(site, name),
            cwd=Path.cwd(),
            env=dict(os.environ),
            address="a:5",
        )
    )


def turtle(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["lab", *arguments])


def parsed(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize("command", [["status"], ["logs"], ["exec", "dc1", "--", "true"]])
def test_before_the_first_start_it_says_how_to_start(paths: LabPaths, command: list[str]) -> None:
    result = turtle(*command)
    assert result.exit_code == 1
    assert "turtle lab up" in result.stderr


def test_errors_are_json_when_asked(paths: LabPaths) -> None:
    result = turtle("status", "--json")
    assert result.exit_code == 1
    assert "turtle lab up" in json.loads(result.stdout)["error"]


def test_down_without_a_lab_is_no_error(paths: LabPaths) -> None:
    assert parsed(turtle("down", "--json")) == {"stopped": 0}


def test_status_tells_who_lives(paths: LabPaths, running: dict[str, ProcessRecord]) -> None:
    processes.kill(running["dc1/redis"])
    told = {f"{p['site']}/{p['name']}": p for p in parsed(turtle("status", "--json"))}
    assert told.keys() == running.keys()
    assert told["dc1/redis"]["alive"] is False
    assert told["dc1/worker"]["alive"] is True
    assert told["dc1/worker"]["pid"] == running["dc1/worker"].pid
    assert told["dc1/worker"]["memory_bytes"] > 1_000_000


def test_down_ends_everything_also_what_it_does_not_know(
    paths: LabPaths, running: dict[str, ProcessRecord]
) -> None:
    assert parsed(turtle("down", "--json")) == {"stopped": len(running)}
    assert not [name for name, record in running.items() if processes.is_alive(record)]
    state = read_state(paths)
    assert state is not None
    assert state.records() == {}


def test_those_who_take_work_stop_before_those_who_keep_it(
    paths: LabPaths, running: dict[str, ProcessRecord]
) -> None:
    console = Console(record=True, width=200, force_terminal=False)
    Lab(paths=paths, topology=topology(), progress=Progress(console)).down()
    text = console.export_text()
    order = [
        text.index(f"✓ Stopping {name}") for name in ("worker", "control", "sentinel", "redis")
    ]
    assert order == sorted(order)


def test_clean_removes_what_the_lab_made_and_nothing_else(
    paths: LabPaths, running: dict[str, ProcessRecord]
) -> None:
    mine = write_private(paths.root / "my-notes.txt", "keep")
    assert turtle("clean").exit_code == 0
    assert [path.name for path in paths.root.iterdir()] == ["my-notes.txt"]
    assert mine.read_text() == "keep"
    assert not [name for name, record in running.items() if processes.is_alive(record)]


def test_logs_can_be_chosen_by_process_and_by_site(
    paths: LabPaths, running: dict[str, ProcessRecord]
) -> None:
    for name, record in running.items():
        record.log.write_text(f"line of {name}\n")
    assert "line of dc1/worker" in turtle("logs", "worker").stdout
    assert "line of dc1/redis" not in turtle("logs", "dc1/worker").stdout
    assert turtle("logs").stdout.count("line of") == len(running)
    wrong = turtle("logs", "wroker")
    assert wrong.exit_code == 1
    assert "dc1/worker" in wrong.stderr


class WriterWhileWaiting(threading.Event):
    """Writes the next piece to the log whenever the follower waits; set when all are written."""

    def __init__(self, log: Path, pieces: list[str]) -> None:
        super().__init__()
        self.log = log
        self.pieces = pieces

    def wait(self, timeout: float | None = None) -> bool:
        if not self.pieces:
            self.set()
            return True
        with self.log.open("a", encoding="utf-8") as file:
            file.write(self.pieces.pop(0))
        return False


def test_following_shows_whole_lines_as_they_come(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("old\n")
    seen: list[str] = []
    writer = WriterWhileWaiting(log, ["half", " whole\none\ntw", "o\n"])
    follow.follow({"dc1/a": log}, lambda name, line: seen.append(f"{name}: {line}"), writer)
    assert seen == ["dc1/a: half whole", "dc1/a: one", "dc1/a: two"]


def test_exec_runs_in_the_sites_environment(paths: LabPaths, site_files: SiteFiles) -> None:
    files = SiteFiles(
        paths=paths,
        topology=site_files.topology,
        addresses=site_files.addresses,
        secrets=site_files.secrets,
    )
    files.write()
    write_private(paths.addresses, files.addresses.model_dump_json())
    code = "from tasks.settings import settings; import sys; sys.exit(settings().site != 'dc2')"
    done = subprocess.run(
        [sys.executable, "-m", "deploy.cli", "lab", "exec", "dc2", "--", "python", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_exec_refuses_a_site_or_program_that_is_not_there(
    paths: LabPaths, site_files: SiteFiles
) -> None:
    result = turtle("exec", "dc9", "--", "true")
    assert result.exit_code == 1
    assert "unknown site 'dc9'" in result.stderr


def test_two_commands_do_not_work_on_one_lab_at_once(paths: LabPaths) -> None:
    with lab_lock(paths):
        result = turtle("down")
    assert result.exit_code == 1
    assert "another turtle lab command" in result.stderr


def test_a_damaged_state_is_refused_with_what_to_do(paths: LabPaths) -> None:
    write_private(paths.lab_json, '{"version": 1}')
    with pytest.raises(LabError, match="turtle lab clean"):
        read_state(paths)


def test_the_state_file_is_private_and_complete(
    paths: LabPaths, running: dict[str, ProcessRecord]
) -> None:
    assert paths.lab_json.stat().st_mode & 0o777 == 0o600
    told = json.loads(paths.lab_json.read_text(encoding="utf-8"))
    keys = {"control_url", "api_url", "api_token", "admin_user", "admin_password", "flower_url"}
    assert keys < told.keys()
    worker = told["sites"]["dc1"]["processes"]["worker"]
    assert worker["pid"] == running["dc1/worker"].pid
    assert worker.keys() == {"pid", "create_time", "command", "log", "address", "part_of"}
