"""What the fleet does when something goes wrong: each test breaks it and mends it."""

import os
import signal

import psutil
import pytest

from deploy.lab import processes
from tests.lab.whole.stage import Fleet, eventually, task_processes

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


def test_a_killed_worker_process_gives_the_next_attempt(fleet: Fleet) -> None:
    """Class A: worker killed -9 in the task, another attempt with a newer token."""
    run_id = fleet.enqueue("canary.wait", 3, site="dc1")["id"]
    os.kill(task_processes(fleet, "dc1", run_id), signal.SIGKILL)
    run = fleet.finished(run_id)
    assert run["status"] == "SUCCESSFUL", run
    assert [a["status"] for a in run["attempt_list"]] == ["LOST", "SUCCESSFUL"]
    assert any(e["event"] == "lose" and "effect class A" in e["why"] for e in run["events"])


def test_a_killed_class_d_run_waits_for_a_person(fleet: Fleet) -> None:
    run_id = fleet.enqueue("canary.effect_d", "killed-d", 30, site="dc1")["id"]
    os.kill(task_processes(fleet, "dc1", run_id), signal.SIGKILL)
    run = fleet.reaches(run_id, "DEAD")
    assert "class D" in run["reason"]
    effects = (fleet.folder / "dc1").rglob("effects.jsonl")
    starts = [
        line for path in effects for line in path.read_text().splitlines() if '"killed-d"' in line
    ]
    assert len(starts) == 1


def test_a_cancelled_run_stops_and_may_be_tried_again(fleet: Fleet) -> None:
    """Its process is ended, it cannot commit, and the next attempt is not taken for it."""
    run_id = fleet.enqueue("canary.wait", 4, site="dc2")["id"]
    pid = task_processes(fleet, "dc2", run_id)
    fleet.api.post(f"/tasks/{run_id}/cancel", json={"why": "changed my mind"})
    assert fleet.run(run_id)["status"] == "CANCELLED"
    eventually(lambda: not psutil.pid_exists(pid), "the end of the task's process")
    fleet.api.post(f"/tasks/{run_id}/retry", json={"why": "and again"})
    run = fleet.finished(run_id)
    assert run["status"] == "SUCCESSFUL"
    assert [a["status"] for a in run["attempt_list"]] == ["VOID", "SUCCESSFUL"]


def test_a_killed_worker_is_seen_and_its_work_goes_on(fleet: Fleet) -> None:
    """The whole worker dies: its run is taken over elsewhere, and it comes back."""
    run_id = fleet.enqueue("canary.wait", 2, site="dc1")["id"]
    task_processes(fleet, "dc1", run_id)
    record = fleet.state.sites["dc1"].processes["worker"]
    for child in psutil.Process(record.pid).children(recursive=True):
        child.kill()
    fleet.kill("dc1", "worker")
    fleet.reaches(run_id, "READY")
    fleet.start_again()
    run = fleet.finished(run_id, deadline_s=60)
    assert run["status"] == "SUCCESSFUL"
    assert run["attempt_list"][0]["status"] == "LOST"


def test_without_control_plane_a_lan_program_goes_on(fleet: Fleet) -> None:
    fleet.stop("dc3", "control")
    run_id, value = fleet.python(
        "dc1",
        "import json\nfrom tasks import canary\n"
        "h = canary.echo.apply_async(('alone',), site='dc1')\n"
        "print(json.dumps([h.id, h.get(timeout=30)]))",
    )
    assert value == "alone"
    fleet.start_again()
    mirrored = eventually(
        lambda: (
            run
            if (answer := fleet.api.get(f"/tasks/{run_id}")).status_code == 200
            and (run := answer.json())["status"] == "SUCCESSFUL"
            else None
        ),
        "the mirror",
        deadline_s=60,
    )
    assert mirrored["home"] == "dc1"


def test_without_broker_work_is_accepted_and_says_so(fleet: Fleet) -> None:
    for site in ("dc1", "dc2", "dc3"):
        fleet.kill(site, "redis")
    run_id = fleet.enqueue("canary.echo", "patient", site="dc2")["id"]
    eventually(
        lambda: "waits for the broker" in fleet.run(run_id)["waiting_reason"],
        "the reason why it waits",
    )
    fleet.start_again()
    assert fleet.finished(run_id, deadline_s=90)["return_value"] == "patient"


def test_a_killed_master_is_survived(fleet: Fleet) -> None:
    """Work that is enqueued while the broker moves to another site is done there."""
    master = fleet.django(
        "from fleet.models import BrokerView\n"
        "print(json.dumps(BrokerView.objects.get(pk=1).master))"
    )
    site = next(n for n, s in fleet.state.sites.items() if s.redis == master)
    processes.kill(fleet.state.sites[site].processes.pop("redis"))
    ids = [fleet.enqueue("canary.echo", n)["id"] for n in range(20)]
    values = [fleet.finished(i, deadline_s=90)["return_value"] for i in ids]
    assert values == list(range(20))
    fleet.start_again()
