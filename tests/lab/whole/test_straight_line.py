"""From enqueue to committed result, with every process real."""

import json
from pathlib import Path

import httpx
import psutil
import pytest

from tests.lab.whole.stage import Fleet, eventually

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


def test_the_first_tasks_bring_real_data(fleet: Fleet) -> None:
    """`make up` enqueues work on a real repository and on the devices' protocols."""
    runs = {run["task"]: run for run in fleet.api.get("/tasks?limit=50").json()["items"]}
    log = fleet.finished(runs["dev.git_log"]["id"])
    assert log["status"] == "SUCCESSFUL", log["error"]
    assert log["return_value"]["commits"][0]["subject"]
    gateway = fleet.finished(runs["udm.gateway_health"]["id"])
    assert gateway["status"] == "SUCCESSFUL", gateway["error"]
    router = fleet.finished(runs["openwrt.system"]["id"])
    assert router["status"] == "SUCCESSFUL", router["error"]


def test_every_step_of_a_run_is_an_event(fleet: Fleet) -> None:
    run = fleet.finished(fleet.enqueue("canary.echo", {"a": [1, None, "ü"]})["id"])
    assert run["return_value"] == {"a": [1, None, "ü"]}
    steps = [(e["from_status"], e["to_status"]) for e in run["events"]]
    assert steps == [("", "READY"), ("READY", "RUNNING"), ("RUNNING", "SUCCESSFUL")]
    assert [a["number"] for a in run["attempt_list"]] == [1]


def test_transient_errors_are_tried_again_with_newer_tokens(fleet: Fleet) -> None:
    run = fleet.finished(fleet.enqueue("canary.fail", "no", True)["id"])
    assert run["status"] == "FAILED"
    tokens = [a["token"] for a in run["attempt_list"]]
    assert len(tokens) == 3
    assert tokens == sorted(set(tokens))
    assert run["error"]["blame"] == "network"


def test_a_delayed_run_waits_in_the_ledger_and_says_why(fleet: Fleet) -> None:
    moment = fleet.django(
        "from datetime import *\n"
        "print(json.dumps((datetime.now(UTC) + timedelta(hours=1)).isoformat()))"
    )
    run = fleet.run(fleet.enqueue("canary.echo", 1, run_after=moment)["id"])
    assert run["status"] == "READY"
    assert "not before" in run["waiting_reason"]
    cancelled = fleet.api.post(f"/tasks/{run['id']}/cancel", json={"why": "test"})
    assert cancelled.json()["status"] == "CANCELLED"


def test_a_capability_without_worker_is_accepted_and_said(fleet: Fleet) -> None:
    run = fleet.enqueue("udm.sysinfo", site="dc2")
    assert fleet.run(run["id"])["waiting_reason"] == "no live worker at dc2 has the capability udm"
    fleet.api.post(f"/tasks/{run['id']}/cancel", json={})


def test_a_lan_program_enqueues_without_django(fleet: Fleet) -> None:
    found = fleet.python(
        "dc1",
        "import json\n"
        "from tasks import canary, enqueue_many\n"
        "one = canary.echo.delay('lan')\n"
        "many = enqueue_many([canary.echo.s(n) for n in range(20)])\n"
        "values = [h.get(timeout=30) for h in many]\n"
        "print(json.dumps([one.id, one.get(timeout=30), values]))",
    )
    run_id, value, values = found
    assert value == "lan"
    assert values == list(range(20))
    mirrored = eventually(
        lambda: run if (run := fleet.run(run_id))["status"] == "SUCCESSFUL" else None,
        "the mirror at the control plane",
    )
    assert mirrored["home"] == "dc1"
    assert [e["event"] for e in mirrored["events"]] == ["enqueue", "claim", "succeed"]


def test_a_site_runs_another_sites_work(fleet: Fleet) -> None:
    """A run of dc1's home, pinned to dc2: the outcome comes back through the control plane."""
    value = fleet.python(
        "dc1",
        "import json\nfrom tasks import canary\n"
        "print(json.dumps(canary.echo.apply_async(('far',), site='dc2').get(timeout=40)))",
    )
    assert value == "far"


def test_django_callers_roll_back_with_their_transaction(fleet: Fleet) -> None:
    count = fleet.django(
        "from django.db import transaction\n"
        "from fleet.models import TaskRun\n"
        "from tasks import canary\n"
        "try:\n"
        "    with transaction.atomic():\n"
        "        handle = canary.echo.delay('gone')\n"
        "        raise KeyError\n"
        "except KeyError: pass\n"
        "print(json.dumps(TaskRun.objects.filter(pk=handle.id).count()))"
    )
    assert count == 0


def test_a_django_caller_gets_the_result(fleet: Fleet) -> None:
    found = fleet.django(
        "from celery import group\n"
        "from tasks import app, canary\n"
        "a = canary.echo.delay(1).get(timeout=30)\n"
        "b = app.send_task('canary.echo', [2]).get(timeout=30)\n"
        "c = canary.echo.s(3).apply_async(site='dc2', priority='high').get(timeout=30)\n"
        "g = [r.get(timeout=30) for r in group(canary.echo.s(n) for n in range(3))()]\n"
        "again = app.AsyncResult(canary.echo.delay(4).id).get(timeout=30)\n"
        "print(json.dumps([a, b, c, g, again]))"
    )
    assert found == [1, 2, 3, [0, 1, 2], 4]


def test_canvases_that_cannot_be_kept_are_refused_at_the_call(fleet: Fleet) -> None:
    messages = fleet.django(
        "from celery import chain, chord\n"
        "from fleet.policy.errors import RefusedError\n"
        "from tasks import canary\n"
        "one, two = canary.echo.si(1), canary.echo.si(2)\n"
        "def refusal(canvas):\n"
        "    try: canvas.delay()\n"
        "    except RefusedError as error: return str(error)\n"
        "print(json.dumps([refusal(c) for c in (chain(one, two), chord([one], two), one | two)]))"
    )
    assert all(message for message in messages)


def test_a_due_schedule_makes_a_run_like_any_other(fleet: Fleet) -> None:
    fleet.django(
        "from django_celery_beat.models import IntervalSchedule, PeriodicTask\n"
        "every, _ = IntervalSchedule.objects.get_or_create(every=1, period='seconds')\n"
        "PeriodicTask.objects.update_or_create(name='canary', defaults=dict(\n"
        "    task='canary.echo', interval=every, args='[\"by schedule\"]', enabled=True))\n"
        "print('null')"
    )
    run = eventually(
        lambda: next(
            (
                r
                for r in fleet.api.get("/tasks?task=canary.echo&limit=20").json()["items"]
                if r["args"] == ["by schedule"] and r["status"] == "SUCCESSFUL"
            ),
            None,
        ),
        "a scheduled run",
        deadline_s=40,
    )
    fleet.django(
        "from django_celery_beat.models import PeriodicTask, PeriodicTasks\n"
        "PeriodicTask.objects.all().delete(); PeriodicTasks.update_changed()\n"
        "print('null')"
    )
    assert run["home"] == "control"


def test_large_results_stay_at_the_site(fleet: Fleet) -> None:
    run = fleet.finished(fleet.enqueue("canary.echo", "x" * 65_000, site="dc1")["id"])
    assert run["status"] == "SUCCESSFUL", run["error"]
    small = fleet.finished(fleet.enqueue("dev.run_command", "echo", ["y" * 3000], site="dc1")["id"])
    assert small["return_value"]["exit_code"] == 0


def test_flower_shows_the_same_ids_behind_the_login(fleet: Fleet) -> None:
    run = fleet.finished(fleet.enqueue("canary.echo", "for flower")["id"])
    base = fleet.state.control_url
    with httpx.Client(base_url=base, timeout=20) as browser:
        assert browser.get("/flower/").status_code in (302, 403)
        page = browser.get("/login/")
        form = {
            "username": fleet.state.admin_user,
            "password": fleet.state.admin_password,
            "csrfmiddlewaretoken": browser.cookies["csrftoken"],
        }
        assert page.status_code == 200
        assert browser.post("/login/", data=form).status_code == 302
        eventually(
            lambda: browser.get(f"/flower/task/{run['id']}").status_code == 200,
            "the run in Flower",
            deadline_s=30,
        )
        sent = browser.post(
            "/flower/api/task/async-apply/canary.echo",
            json={"args": ["from flower"]},
            headers={"Origin": base},
        )
        assert sent.status_code == 200, sent.text
        by_flower = fleet.finished(sent.json()["task-id"])
        assert by_flower["return_value"] == "from flower"


def test_no_secret_is_in_a_log_or_a_command_line(fleet: Fleet) -> None:
    secrets = {
        text
        for path in fleet.lab.paths.secrets.rglob("*")
        if path.is_file() and (text := path.read_text(encoding="utf-8").strip())
    }
    secrets |= {part for text in secrets for part in text.split(":") if len(part) > 12}
    assert secrets
    logs = [p.read_text(encoding="utf-8", errors="replace") for p in fleet.folder.rglob("*.log")]
    lines = [
        " ".join(psutil.Process(record.pid).cmdline()) for record in fleet.state.records().values()
    ]
    for secret in secrets:
        assert not any(secret in text for text in (*logs, *lines))


def test_lab_json_names_everything(fleet: Fleet) -> None:
    written = json.loads(Path(fleet.folder / "lab.json").read_text(encoding="utf-8"))
    assert {
        "control_url",
        "api_url",
        "api_token",
        "admin_user",
        "admin_password",
        "flower_url",
    } <= set(written)
    assert written["api_url"].endswith("/api/v1")
    for site in ("dc1", "dc2", "dc3"):
        assert {"redis", "sentinel", "agent", "processes"} <= set(written["sites"][site])
    assert (fleet.folder / "lab.json").stat().st_mode & 0o077 == 0
