"""Flower as the control plane runs it: refusals with reasons, names of callers, its own login."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.environment import write_config
from tests.fleet.test_views_flower_real import free_port

pytestmark = pytest.mark.integration

LOGIN = ("flower", "not-used")
START = "from fleet.control.processes import run_flower; run_flower()"
STARTS_WITHIN_S = 40.0


@dataclass(frozen=True)
class Flower:
    """A running Flower over a ledger of its own and a broker that never answers."""

    url: str
    ledger: Path

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        call = {"json": body, "auth": LOGIN, "headers": headers, "trust_env": False}
        return httpx.post(f"{self.url}/flower/api/task/{path}", **call, timeout=20)

    def get(self, path: str, auth: tuple[str, str] | None = LOGIN) -> httpx.Response:
        return httpx.get(f"{self.url}/flower/{path}", auth=auth, trust_env=False, timeout=20)

    def runs(self) -> list[tuple[str, str]]:
        """Task and caller of every run."""
        with sqlite3.connect(self.ledger) as connection:
            return connection.execute("SELECT task, enqueued_by FROM fleet_taskrun").fetchall()


@pytest.fixture(scope="module")
def flower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flower]:
    folder = tmp_path_factory.mktemp("flower")
    found = Flower(f"http://127.0.0.1:{free_port()}", folder / "ledger.sqlite3")
    config = write_config(folder, f"sqlite:///{found.ledger}")
    env = {
        **os.environ,
        "TURTLE_CONFIG": str(config),
        "TURTLE_CONTROL_PLANE__FLOWER_URL": found.url,
        "DJANGO_SETTINGS_MODULE": "turtle_site.settings",
    }
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], env=env, check=True)
    code = f"import django; django.setup(); {START}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-c", code], env=env, stdout=log, stderr=log)
    try:
        wait_until_it_answers(found, process, folder / "log")
        yield found
    finally:
        process.kill()
        process.wait()


def wait_until_it_answers(flower: Flower, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline, pause = time.monotonic() + STARTS_WITHIN_S, threading.Event()
    while time.monotonic() < deadline and process.poll() is None:
        try:
            flower.get("healthcheck")
        except httpx.HTTPError:
            pause.wait(0.1)
        else:
            return
    pytest.fail(f"Flower did not start: {log.read_text()[-2000:]}")


def test_a_call_is_a_run_and_names_who_asked(flower: Flower) -> None:
    body = {"args": [7]}
    named = flower.post("async-apply/canary.echo", body, **{"X-Turtle-User": "J%C3%B6rg"})
    sent = flower.post("send-task/canary.wait", {"kwargs": {"seconds": 1}})

    assert (named.status_code, sent.status_code) == (200, 200), named.text + sent.text
    assert named.json()["task-id"]
    assert ("canary.echo", "flower: Jörg") in flower.runs()
    assert ("canary.wait", "flower") in flower.runs()


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("async-apply/canary.echo", {"args": [1, 2]}, 422, "canary.echo"),
        ("async-apply/canary.echo", {"kwargs": {"valeu": "100 %"}}, 422, "valeu"),
        ("async-apply/canary.ehco", {"args": [1]}, 404, "canary.ehco"),
        ("send-task/canary.ehco", {"args": [1]}, 404, "did you mean canary.echo"),
        ("send-task/canary.echo", {"args": [1, 2]}, 422, "canary.echo"),
        ("send-task/canary.echo", {"args": [1], "name": "x"}, 400, "unknown option name"),
        ("send-task/canary.echo", {"args": [1], "site": "dc9"}, 404, "did you mean dc"),
        ("async-apply/canary.echo", {"args": [1], "expires": []}, 422, "expires"),
        ("async-apply/canary.echo", {"args": [1], "countdown": "soon"}, 422, "countdown"),
        ("async-apply/canary.echo", {"args": [1], "eta": "tomorrow"}, 422, "tomorrow"),
        ("apply/canary.echo", {"args": [1]}, 422, "async-apply/canary.echo"),
    ],
)
def test_a_refused_call_says_why_and_writes_nothing(
    flower: Flower, path: str, body: Any, status: int, said: str
) -> None:
    before = flower.runs()
    answer = flower.post(path, body)

    assert (answer.status_code, said in answer.text) == (status, True), answer.text
    assert flower.runs() == before


def test_only_the_health_check_needs_no_login(flower: Flower) -> None:
    assert flower.get("healthcheck", auth=None).status_code == 200
    for path in ("metrics", "", "broker", "api/queues/length"):
        assert flower.get(path, auth=None).status_code == 401, path
    assert flower.get("metrics").status_code == 200


def test_a_broker_that_does_not_answer_is_said_so(flower: Flower) -> None:
    answer = flower.get("api/queues/length")

    assert answer.status_code == 503
    assert "broker" in answer.text
