"""Ready means: the very process that was started serves, not whatever answers at its address."""

import http.server
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.lab import parts, processes
from deploy.lab.errors import LabError
from deploy.lab.processes import ProcessRecord, ProcessSpec
from deploy.lab.readiness import Readiness, answers, worker_is_alive
from deploy.lab.state import LabState, SiteState
from deploy.lab.waiting import wait_until

WAITING = "import signal; signal.pause()"
SUPERVISOR = f"""
import json, subprocess, sys
from pathlib import Path
part = subprocess.Popen([sys.executable, "-c", {WAITING!r}])
Path("pids.tmp").write_text(json.dumps({{"agent": part.pid, "web": 1}}))
Path("pids.tmp").rename("control.pids.json")
{WAITING}
"""


class Answering(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """The test's output is no place for requests."""


@pytest.fixture
def foreign() -> Iterator[str]:
    """The address of a server that answers 200 to everything and is not the lab's."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[list[ProcessRecord]]:
    records: list[ProcessRecord] = []
    yield records
    processes.stop(records, deadline_s=5)


def run(folder: Path, code: str, address: str | None = None) -> ProcessRecord:
    return processes.start(
        ProcessSpec(
            site="dc3",
            name="agent",
            command=(sys.executable, "-c", code),
            log=folder / "agent.log",
            cwd=folder,
            env=dict(os.environ),
            address=address,
        )
    )


def state_of(**records: ProcessRecord) -> LabState:
    site = SiteState(redis="a:1", sentinel="a:2", agent="a:3", processes=records)
    return LabState(
        control_url="http://a:4",
        api_url="http://a:4/api/v1",
        api_token="tf_operator",
        read_token="tf_reader",
        admin_user="admin",
        admin_password="secret",
        flower_url="http://a:4/flower/",
        sites={"dc3": site},
    )


def test_the_answer_of_another_program_is_not_ours(
    tmp_path: Path, foreign: str, start: list[ProcessRecord]
) -> None:
    start.append(run(tmp_path, WAITING, foreign))
    assert answers(f"http://{foreign}/healthz")
    with pytest.raises(LabError, match=r"agent of dc3: not within 0\.3 s"):
        Readiness(state_of(agent=start[0]), deadline_s=0.3).agent("dc3")


def test_a_process_that_cannot_bind_is_named_with_its_words(tmp_path: Path, foreign: str) -> None:
    code = "import sys; print('Address already in use'); sys.exit(1)"
    record = run(tmp_path, code, foreign)
    with pytest.raises(LabError, match=r"(?s)agent of dc3 ended.*Address already in use"):
        Readiness(state_of(agent=record), deadline_s=10).agent("dc3")


def test_one_that_ended_after_it_was_ready_is_found_at_the_end(
    tmp_path: Path, start: list[ProcessRecord]
) -> None:
    start.append(run(tmp_path, WAITING))
    readiness = Readiness(state_of(agent=start[0]))
    readiness.all_alive()
    processes.kill(start[0])
    with pytest.raises(LabError, match="agent of dc3 ended"):
        readiness.all_alive()


def test_the_supervisors_own_children_are_known_by_name(
    tmp_path: Path, start: list[ProcessRecord]
) -> None:
    start.append(run(tmp_path, SUPERVISOR))
    file = parts.pids_file(tmp_path)
    wait_until(file.exists, deadline_s=10, what="the supervisor's file")
    state = parts.adopt(state_of(control=start[0]), "dc3", file, {"agent": "a:3"})
    [child] = psutil.Process(start[0].pid).children()
    found = state.sites["dc3"].processes
    # Process 1 is no child of the supervisor, whatever the file says.
    assert found.keys() == {"control", "agent"}
    assert (found["agent"].pid, found["agent"].part_of) == (child.pid, "control")
    assert found["agent"].address == "a:3"
    assert found["control"].part_of is None


def test_a_file_left_over_from_an_earlier_supervisor_names_nobody(tmp_path: Path) -> None:
    record = run(tmp_path, WAITING)
    processes.kill(record)
    file = parts.pids_file(tmp_path)
    file.write_text(json.dumps({"agent": os.getpid()}))
    left = record.model_copy(update={"part_of": "control"})
    state = parts.adopt(state_of(control=record, agent=left), "dc3", file, {})
    assert state.sites["dc3"].processes.keys() == {"control"}


@pytest.mark.parametrize(
    ("worker", "alive"),
    [
        ({"site": "dc1", "liveness": "alive", "pid": 7}, True),
        ({"site": "dc1", "liveness": "alive", "pid": None}, True),
        ({"site": "dc1", "liveness": "alive", "pid": 8}, False),
        ({"site": "dc1", "liveness": "dead", "pid": 7}, False),
        ({"site": "dc2", "liveness": "alive", "pid": 7}, False),
    ],
)
def test_a_worker_counts_when_it_is_this_one_and_alive(
    worker: dict[str, object], alive: bool
) -> None:
    assert worker_is_alive([worker], "dc1", 7) is alive
