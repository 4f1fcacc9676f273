"""The lab's Machines API: as fly's, with a process in the machine, and faults on demand."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from deploy.lab.simulators.device import Request
from deploy.lab.simulators.fly.api import MachinesApi
from deploy.lab.simulators.fly.faults import FlyFaults
from deploy.lab.simulators.fly.limits import Buckets
from deploy.lab.simulators.fly.machine import Machine, MachineShape
from deploy.lab.simulators.fly.server import MachinesServer, serving
from deploy.lab.waiting import wait_until
from fleet.control.machines.client import FlyMachines
from fleet.control.machines.errors import (
    MachineBusyError,
    MachineMissingError,
    MachinesAnswerError,
    MachinesAwayError,
    MachinesTokenError,
    RateLimitedError,
    StateNotReachedError,
)

REPOSITORY = Path(__file__).parents[2]
TOKEN = "a-token-of-the-lab"
APP, ID = "turtle-standby", "5714790ef5a1d8"
#: Says that it runs, counts, and takes a moment to end in the orderly way.
GUEST = """
import pathlib, signal, sys, threading
folder = pathlib.Path(sys.argv[1])
def end(*_):
    (folder / "ended").write_text("in order")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
while True:
    with (folder / "alive").open("a") as file:
        file.write(".")
    threading.Event().wait(0.01)
"""


class Stage:
    """A simulator in this process, and the client that the control plane uses."""

    def __init__(self, server: MachinesServer, client: FlyMachines, folder: Path) -> None:
        self.api = server.api
        self.url = server.url
        self.client = client
        self.folder = folder

    @property
    def machine(self) -> Machine:
        return self.api.machine

    def fault(self, mode: str, **options: Any) -> None:
        body = {"mode": mode, "seconds": 600, **options}
        answer = httpx.post(f"{self.url}/_sim/errors", json=body, trust_env=False)
        assert answer.status_code == 200, answer.text

    def reaches(self, state: str) -> None:
        assert self.machine.wait(state, 10), f"{self.machine.state}, not {state}"

    def started(self) -> psutil.Process:
        self.client.start(ID)
        self.reaches("started")
        pid = self.machine.guest_pid()
        assert pid is not None
        wait_until(lambda: self.ticks() > 0, deadline_s=10, what="the guest to run")
        return psutil.Process(pid)

    def ticks(self) -> int:
        file = self.folder / "alive"
        return file.stat().st_size if file.is_file() else 0


def machine_in(folder: Path, faults: FlyFaults, **changes: Any) -> Machine:
    shape: dict[str, Any] = {
        "id": ID,
        "app": APP,
        "name": "standby-1",
        "region": "lab",
        "folder": folder / "machines",
        "command": (sys.executable, "-c", GUEST, str(folder)),
        "cwd": folder,
        "boot_s": 0.0,
        "resume_s": 0.0,
        "suspend_s": 0.0,
        "kill_after_s": 5.0,
    }
    return Machine(MachineShape(**{**shape, **changes}), faults)


@contextmanager
def staged(folder: Path, *, buckets: Buckets | None = None, **changes: Any) -> Iterator[Stage]:
    token_file = folder / "token"
    token_file.write_text(TOKEN, encoding="utf-8")
    token_file.chmod(0o600)
    faults = FlyFaults()
    # A clock that runs fast: the limits have a test of their own.
    unlimited = buckets or Buckets(lambda: time.monotonic() * 1000)
    api = MachinesApi(machine_in(folder, faults, **changes), TOKEN, faults, unlimited)
    client = FlyMachines("http://unset", APP, token_file, try_for_s=0.0)
    with serving(MachinesServer("127.0.0.1", 0, api)) as server:
        client.close()
        client = FlyMachines(server.url, APP, token_file, try_for_s=0.0, timeout_s=5.0)
        try:
            yield Stage(server, client, folder)
        finally:
            client.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as found:
        yield found


def test_a_new_machine_is_created_and_told_with_what_the_client_needs(stage: Stage) -> None:
    found = stage.client.get(ID)
    assert (found.state, found.name, len(found.instance_id)) == ("created", "standby-1", 26)
    assert stage.client.list() == (found,)


def test_starting_starts_a_process_and_stopping_ends_it_in_order(stage: Stage) -> None:
    assert stage.client.start(ID) == "created"
    stage.client.wait(ID, "started", timeout_s=10)
    process = stage.started()
    instance = stage.client.get(ID).instance_id
    stage.client.stop(ID)
    stage.client.wait(ID, "stopped", timeout_s=10, instance_id=instance)
    assert not process.is_running()
    assert (stage.folder / "ended").read_text() == "in order"


def test_suspending_freezes_the_process_and_starting_lets_it_go_on(stage: Stage) -> None:
    process = stage.started()
    stage.client.suspend(ID)
    stage.client.wait(ID, "suspended", timeout_s=10)
    assert process.status() == psutil.STATUS_STOPPED
    frozen_at = stage.ticks()
    assert stage.client.start(ID) == "suspended"
    stage.reaches("started")
    wait_until(lambda: stage.ticks() > frozen_at, deadline_s=10, what="the guest to go on")
    assert stage.machine.guest_pid() == process.pid


def test_stopping_a_suspended_machine_throws_its_memory_away(stage: Stage) -> None:
    process = stage.started()
    stage.client.suspend(ID)
    stage.reaches("suspended")
    stage.client.stop(ID)
    stage.reaches("stopped")
    assert not process.is_running()
    assert stage.started().pid != process.pid


def test_a_snapshot_that_is_lost_means_a_cold_start(tmp_path: Path) -> None:
    with staged(tmp_path, resume_s=0.3) as stage:
        process = stage.started()
        stage.client.suspend(ID)
        stage.reaches("suspended")
        stage.client.start(ID)
        process.kill()
        process.wait()
        stage.reaches("started")
        pid = stage.machine.guest_pid()
        assert pid not in (None, process.pid)


@pytest.mark.parametrize("call", ["start", "suspend"])
def test_a_machine_that_is_stuck_between_two_states_can_be_stopped(
    tmp_path: Path, call: str
) -> None:
    with staged(tmp_path) as stage:
        if call == "suspend":
            stage.started()
        stage.fault("slow_start", delay_s=0.5)
        getattr(stage.client, call)(ID)
        stage.fault("none")
        stage.client.stop(ID)
        stage.reaches("stopped")
        assert not stage.machine.wait("started", 1.0)
        assert not stage.machine.wait("suspended", 0.1)
        assert stage.machine.guest_pid() is None


def test_a_call_that_changes_nothing_is_no_mistake(stage: Stage) -> None:
    process = stage.started()
    assert stage.client.start(ID) == "started"
    assert stage.machine.guest_pid() == process.pid
    stage.client.stop(ID)
    stage.client.stop(ID)
    stage.reaches("stopped")
    with pytest.raises(MachineBusyError, match="unable to suspend machine from current state"):
        stage.client.suspend(ID)


def test_a_process_that_ends_by_itself_stops_its_machine(stage: Stage) -> None:
    stage.started().kill()
    stage.reaches("stopped")
    events = stage.machine.as_json()["events"]
    assert isinstance(events, list)
    last = events[0]
    assert isinstance(last, dict)
    assert (last["type"], last["request"]) == (
        "exit",
        {"exit_code": -9, "requested_stop": False},
    )


def test_a_process_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    stubborn = "import signal, subprocess; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    command = (sys.executable, "-c", stubborn + "subprocess.run(['sleep', '600'])")
    with staged(tmp_path, command=command, kill_after_s=0.2) as stage:
        stage.client.start(ID)
        stage.reaches("started")
        pid = stage.machine.guest_pid()
        assert pid is not None
        main = psutil.Process(pid)
        children = wait_until(main.children, deadline_s=10, what="the child")
        stage.client.stop(ID)
        stage.reaches("stopped")
        gone, alive = psutil.wait_procs([main, *children], timeout=5)
        assert (len(gone), alive) == (2, [])


def test_nothing_keeps_a_machine_from_ending_with_its_api(tmp_path: Path) -> None:
    with staged(tmp_path, suspend_s=0.2) as stage:
        process = stage.started()
        stage.client.suspend(ID)
        stage.machine.close()
        assert not process.is_running()
        assert (stage.folder / "ended").read_text() == "in order"
        for call in (stage.client.start, stage.client.suspend, stage.client.stop):
            with pytest.raises(MachinesAwayError, match="shutting down"):
                call(ID)
        assert stage.machine.state == "stopped"


def test_a_command_that_cannot_be_started_fails_the_machine(tmp_path: Path) -> None:
    with staged(tmp_path, command=(str(tmp_path / "nowhere"),)) as stage:
        stage.client.start(ID)
        stage.reaches("failed")


def test_a_wait_that_is_in_vain_ends_in_time(stage: Stage) -> None:
    with pytest.raises(StateNotReachedError, match="currently created"):
        stage.client.wait(ID, "started", timeout_s=1)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("state=stopped&timeout=5", "instance_id"),
        ("state=started&timeout=61", "timeout must be in range"),
        ("state=started&timeout=0", "timeout must be in range"),
        ("state=started&timeout=x", "timeout must be in range"),
        ("state=asleep", "cannot wait for state"),
    ],
)
def test_a_wait_that_makes_no_sense_is_refused(stage: Stage, query: str, reason: str) -> None:
    answer = httpx.get(
        f"{stage.url}/v1/apps/{APP}/machines/{ID}/wait?{query}",
        headers={"Authorization": f"Bearer {TOKEN}"},
        trust_env=False,
    )
    assert answer.status_code == 400
    assert reason in answer.json()["error"]


def test_a_lease_keeps_others_from_changing_the_machine(stage: Stage) -> None:
    held = stage.client.lease(ID, ttl_s=30, description="standby")
    assert abs(held.expires_at_s - time.time() - 30) < 5
    with pytest.raises(MachineBusyError, match="lease currently held by"):
        stage.client.start(ID)
    with pytest.raises(MachineBusyError):
        stage.client.lease(ID, ttl_s=30)
    with pytest.raises(MachineBusyError):
        stage.client.release(ID, "guessed")
    renewed = stage.client.lease(ID, ttl_s=60, nonce=held.nonce)
    assert (renewed.nonce, renewed.expires_at_s > held.expires_at_s) == (held.nonce, True)
    stage.client.start(ID, nonce=held.nonce)
    stage.client.release(ID, held.nonce)
    stage.reaches("started")
    stage.client.stop(ID)
    stage.reaches("stopped")


def test_a_wrong_token_app_or_machine_is_told_apart(stage: Stage) -> None:
    with pytest.raises(MachineMissingError, match="machine_id"):
        stage.client.get("no5uch")
    stage.fault("refuse_token")
    with pytest.raises(MachinesTokenError, match="token_file"):
        stage.client.get(ID)
    other = httpx.get(f"{stage.url}/v1/apps/other/machines", trust_env=False)
    assert other.status_code == 401


def test_the_limits_are_those_of_the_documentation(tmp_path: Path) -> None:
    now = [0.0]
    with staged(tmp_path, buckets=Buckets(lambda: now[0])) as stage:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=stage.url, headers=headers, trust_env=False) as http:
            gets = [http.get(f"/v1/apps/{APP}/machines/{ID}").status_code for _ in range(11)]
            stops = [http.post(f"/v1/apps/{APP}/machines/{ID}/stop").status_code for _ in range(4)]
            now[0] += 1.0
            again = http.post(f"/v1/apps/{APP}/machines/{ID}/stop").status_code
        assert gets == [200] * 10 + [429]
        assert stops == [200, 200, 200, 429]
        assert again == 200


def test_the_client_keeps_within_the_limits_by_itself(tmp_path: Path) -> None:
    with staged(tmp_path, buckets=Buckets()) as stage:
        for _ in range(4):
            stage.client.stop(ID)
        assert stage.api.requests == 4


def test_a_lie_is_told_and_waited_for_but_the_machine_is_what_it_is(stage: Stage) -> None:
    stage.fault("lie")
    assert stage.client.get(ID).state == "started"
    stage.client.wait(ID, "started", timeout_s=1)
    stage.fault("lie", state="suspended")
    assert stage.client.list()[0].state == "suspended"
    assert stage.machine.state == "created"
    stage.fault("none")
    assert stage.client.get(ID).state == "created"


def test_a_call_can_be_taken_and_nothing_happen(stage: Stage) -> None:
    stage.fault("stuck")
    stage.client.start(ID)
    with pytest.raises(StateNotReachedError):
        stage.client.wait(ID, "started", timeout_s=1)
    stage.fault("none")
    stage.started()


def test_a_start_can_fail(stage: Stage) -> None:
    stage.fault("fail_start")
    stage.client.start(ID)
    stage.reaches("failed")
    stage.fault("none")
    stage.started()


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("http_500", MachinesAwayError),
        ("rate_limited", RateLimitedError),
        ("bad_json", MachinesAnswerError),
    ],
)
def test_each_fault_is_the_error_that_it_should_be(
    stage: Stage, mode: str, error: type[Exception]
) -> None:
    stage.fault(mode)
    with pytest.raises(error):
        stage.client.get(ID)


def test_slowness_is_an_api_that_is_away_for_who_does_not_wait(tmp_path: Path) -> None:
    with staged(tmp_path) as stage:
        stage.fault("slow", delay_s=2)
        hasty = FlyMachines(stage.url, APP, tmp_path / "token", timeout_s=0.2, try_for_s=0.0)
        with pytest.raises(MachinesAwayError, match="ReadTimeout"):
            hasty.get(ID)
        hasty.close()
        stage.fault("slow_start", delay_s=1)
        began_s = time.monotonic()
        stage.client.start(ID)
        assert stage.machine.state == "starting"
        stage.reaches("started")
        assert time.monotonic() - began_s >= 1.0


def test_only_this_machine_switches_faults(stage: Stage) -> None:
    asked = Request(method="POST", path="/_sim/errors", body=b'{"mode":"http_500"}')
    assert stage.api.reply(asked, is_local=False).status == 403
    assert stage.api.reply(asked, is_local=True).status == 200


@pytest.mark.parametrize("body", [b"{}", b"x", b'{"mode":"fire"}', b'{"mode":"slow","seconds":0}'])
def test_an_unknown_fault_is_refused(stage: Stage, body: bytes) -> None:
    answer = httpx.post(f"{stage.url}/_sim/errors", content=body, trust_env=False)
    assert answer.status_code == 422


def test_what_happened_is_written_down_for_the_history(stage: Stage) -> None:
    stage.started()
    stage.client.stop(ID)
    stage.reaches("stopped")
    lines = (stage.folder / "machines" / "machines.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["status"] for event in events] == [
        "created",
        "starting",
        "started",
        "stopping",
        "stopped",
    ]
    assert all(abs(event["timestamp"] / 1000 - time.time()) < 60 for event in events)


@contextmanager
def running(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The simulator as a process of its own, and where it listens."""
    token_file = folder / "token"
    token_file.write_text(TOKEN, encoding="utf-8")
    token_file.chmod(0o600)
    command = [
        *(sys.executable, "-m", "deploy.lab.simulators.fly", "--token-file", str(token_file)),
        *("--folder", str(folder / "machines"), "--boot-s", "0", "--resume-s", "0"),
        *("--", sys.executable, "-c", GUEST, str(folder)),
    ]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1], process
        finally:
            process.kill()


def state_of(url: str) -> dict[str, Any]:
    state: dict[str, Any] = httpx.get(f"{url}/_sim/state", trust_env=False).json()
    return state


def in_state(url: str, state: str) -> Callable[[], bool]:
    return lambda: state_of(url)["state"] == state


def test_a_machine_outlives_its_api_and_ends_with_it_in_order(tmp_path: Path) -> None:
    call: dict[str, Any] = {"headers": {"Authorization": f"Bearer {TOKEN}"}, "trust_env": False}
    path = f"/v1/apps/{APP}/machines/{ID}"
    with running(tmp_path) as (url, process):
        httpx.post(f"{url}{path}/start", **call)
        wait_until(in_state(url, "started"), deadline_s=10, what="the machine")
        pid = state_of(url)["pid"]
        process.kill()
        process.wait()
    assert psutil.pid_exists(pid)
    with running(tmp_path) as (url, process):
        assert (state_of(url)["state"], state_of(url)["pid"]) == ("started", pid)
        httpx.post(f"{url}{path}/suspend", **call)
        wait_until(in_state(url, "suspended"), deadline_s=10, what="the machine")
        process.kill()
        process.wait()
    with running(tmp_path) as (url, process):
        assert state_of(url)["state"] == "suspended"
        process.send_signal(signal.SIGTERM)
        rest, trouble = process.communicate(timeout=20)
        assert (process.returncode, rest, trouble) == (0, "", "")
    assert not psutil.pid_exists(pid)
    assert (tmp_path / "ended").read_text() == "in order"
