"""Waiting for a run, and an API that is away or strange."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from fleet.policy.states import RunStatus
from tests.environment import write_secret
from tests.fleet.api_calls import make_run
from tests.lab.cli_calls import PROGRAM, Scripted, Turtle, shown, turtle_for


@pytest.fixture
def turtle(live_server: LiveServer, tmp_path: Path) -> Turtle:
    return turtle_for(live_server, tmp_path)


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.DEAD])
def test_waiting_for_a_run_that_did_not_succeed_is_code_4(
    turtle: Turtle, status: RunStatus
) -> None:
    run = make_run(status=status, error={"kind": "TheirError", "message": "no such path"})
    result = turtle("tasks", "wait", str(run.pk))

    assert result.exit_code == 4
    assert "TheirError: no such path" in result.stdout


def test_waiting_for_a_successful_run_is_code_0(turtle: Turtle) -> None:
    run = make_run(status=RunStatus.SUCCESSFUL, return_value={"ok": 1})

    assert turtle.json("tasks", "wait", str(run.pk))["return_value"] == {"ok": 1}


def test_waiting_no_longer_than_asked_is_code_5(turtle: Turtle) -> None:
    result = turtle("enqueue", "canary.echo", "value=1", "--wait", "--timeout", "0.2")

    assert result.exit_code == 5
    assert "the run goes on" in result.stderr


@pytest.fixture
def scripted() -> Iterator[Any]:
    started: list[Scripted] = []

    def start(*answers: tuple[int, Any]) -> Scripted:
        server = Scripted(answers)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def test_nobody_there_is_code_3(tmp_path: Path) -> None:
    turtle = Turtle(f"http://127.0.0.1:{free_port()}/api/v1", write_secret(tmp_path / "t", "x"))
    result = turtle("workers")

    assert result.exit_code == 3
    assert "no answer from" in result.stderr


def test_a_wait_survives_an_api_that_is_away_for_a_moment(scripted: Any, tmp_path: Path) -> None:
    server = scripted(
        (200, shown("RUNNING")), (503, {"detail": "busy"}), (502, "<html>"), (200, shown("FAILED"))
    )
    result = Turtle(server.url, write_secret(tmp_path / "t", "x"))("tasks", "wait", "1")

    assert result.exit_code == 4
    assert "FAILED" in result.stdout


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ((503, {"detail": "the ledger is busy"}), 3, "the ledger is busy"),
        ((200, "<html>"), 1, "ending in /api/v1"),
        ((404, "<html>"), 1, "answers 404"),
        ((401, {"detail": "the token is unknown"}), 1, "the token is unknown"),
    ],
)
def test_strange_answers_are_told_apart(
    scripted: Any, tmp_path: Path, answer: tuple[int, Any], code: int, said: str
) -> None:
    result = Turtle(scripted(answer).url, write_secret(tmp_path / "t", "x"))("workers")

    assert result.exit_code == code
    assert said in result.stderr


def test_ctrl_c_while_waiting_says_that_the_run_goes_on(scripted: Any, tmp_path: Path) -> None:
    server = scripted((200, shown("RUNNING")))
    turtle = Turtle(server.url, write_secret(tmp_path / "t", "x"))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TURTLE_")}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "tasks", "wait", "1"],
        env={**environment, **turtle.environment()},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.asked.wait(30)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "The run goes on" in told
