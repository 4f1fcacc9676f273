"""The commands over the API, against the real API on a free port."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pytest_django.live_server_helper import LiveServer
from typer.testing import CliRunner

from deploy.cli.api_common import age, past, span
from fleet.models import TaskRun, Worker
from fleet.policy.states import RunStatus
from tests.fleet.api_calls import make_run, make_site
from tests.lab.cli_calls import Turtle, app, turtle_for


@pytest.fixture
def turtle(live_server: LiveServer, tmp_path: Path) -> Turtle:
    return turtle_for(live_server, tmp_path)


def test_enqueue_takes_values_as_json_or_as_text(turtle: Turtle) -> None:
    sent = {"5": 5, "text": "text", '"5"': "5", "[1,null]": [1, None], "a=b": "a=b", "": ""}
    for typed, value in sent.items():
        run = turtle.json("enqueue", "canary.echo", f"value={typed}")
        assert run["kwargs"] == {"value": value}


def test_enqueue_passes_on_every_option(turtle: Turtle) -> None:
    run = turtle.json(
        "enqueue",
        "canary.fail",
        "transient=true",
        "--args",
        '["why"]',
        "--site",
        "dc2",
        "--priority",
        "-7",
        "--at",
        "2031-01-01T00:00:00+01:00",
        "--expires",
        "2031-01-02T00:00:00Z",
        "--key",
        "k",
    )

    assert (run["args"], run["kwargs"]) == (["why"], {"transient": True})
    assert (run["queue_name"], run["priority"]) == ("dev.dc2", -7)
    assert run["run_after"] == "2030-12-31T23:00:00Z"
    assert run["expires_at"] == "2031-01-02T00:00:00Z"
    assert run["idempotency_key"] == "k"


def test_a_delay_counts_from_now(turtle: Turtle) -> None:
    run = turtle.json("enqueue", "canary.echo", "value=1", "--delay", "3600", "--expires", "7200")
    moments = [datetime.fromisoformat(run[name]) for name in ("run_after", "expires_at")]
    seconds = [(moment - datetime.now(UTC)).total_seconds() for moment in moments]

    assert seconds == pytest.approx([3600, 7200], abs=30)


def test_a_run_is_found_shown_cancelled_and_retried(turtle: Turtle) -> None:
    run_id = turtle.json("enqueue", "canary.echo", "value=needle")["id"]
    make_run(task="udm.health")

    listed = turtle.json("tasks", "list", "-q", "needle", "--status", "ready", "--since", "1h")
    assert [run["id"] for run in listed["items"]] == [run_id]
    (cancelled,) = turtle.json("tasks", "cancel", run_id, "--why", "not needed")
    assert cancelled["events"][-1]["why"] == "not needed"
    (retried,) = turtle.json("tasks", "retry", run_id)
    assert retried["status"] == "READY"
    shown = turtle("tasks", "show", run_id)
    for text in ("canary.echo", "needle", "not needed", "token cli", "READY > CANCELLED"):
        assert text in shown.stdout


def test_a_long_list_is_read_page_by_page(turtle: Turtle) -> None:
    when = datetime.now(UTC)
    TaskRun.objects.bulk_create(
        TaskRun(id=uuid.uuid4(), task="dev.git_log", capability="dev", queue_name="dev",
                effect="A", enqueued_at=when)
        for _ in range(620)
    )  # fmt: skip

    listed = turtle.json("tasks", "list", "--limit", "610")
    assert len({run["id"] for run in listed["items"]}) == 610
    assert listed["next"]
    assert len(turtle.json("tasks", "list", "-n", "9999")["items"]) == 620


def test_text_from_a_run_is_never_taken_for_markup(turtle: Turtle) -> None:
    run = make_run(args=["[red]"], reason="[/nonsense] [bold]", task="dev.x")

    assert "[/nonsense] [bold]" in turtle("tasks", "list").stdout
    assert "[red]" in turtle("tasks", "show", str(run.pk)).stdout


@pytest.mark.parametrize("columns", ["50", "80", "120", "200"])
def test_the_id_of_a_run_can_be_copied_from_any_terminal(turtle: Turtle, columns: str) -> None:
    long = make_run(
        task="openwrt.interfaces", status=RunStatus.SUCCESSFUL, queue_name="openwrt.dc2"
    )
    make_run(status=RunStatus.DEAD, reason="it was lost " * 9)
    listed = CliRunner().invoke(app, ["tasks", "list"], env=turtle.environment(columns))

    assert str(long.pk) in listed.stdout
    assert "SUCCESSFUL" in listed.stdout
    assert "openwrt.interfaces" in listed.stdout
    assert "it was lost" in listed.stdout


def test_why_a_run_waits_is_told_where_the_answer_has_it(turtle: Turtle) -> None:
    run_id = turtle.json("enqueue", "udm.sysinfo")["id"]
    turtle("tasks", "cancel", run_id)
    retried = turtle("tasks", "retry", run_id)

    assert "READY" in retried.stdout
    assert "no live worker has the capability" in retried.stdout


def test_workers_sites_and_queues_are_told_to_people_and_scripts(turtle: Turtle) -> None:
    site = make_site("dc1", 1)
    Worker.objects.create(
        id="w@dc1", site=site, box="a", queues=["dev"], capabilities=["dev"], slots=2,
        last_seen_at=datetime.now(UTC),
    )  # fmt: skip
    make_run()

    assert "alive" in turtle("workers").stdout
    assert "Site dc1" in turtle("sites").stdout
    assert "w@dc1" in turtle("queues").stdout
    assert "never seen" in turtle("queues").stdout
    for command in ("workers", "sites", "queues"):
        assert turtle.json(command)["items"]


def test_empty_lists_say_so(turtle: Turtle) -> None:
    assert "No run matches." in turtle("tasks", "list").stdout
    assert "No worker has ever reported." in turtle("workers").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("enqueue", "canary.ecko", "value=1"), "canary.echo"),
        (("enqueue", "canary.echo", "valu=1"), "valu"),
        (("tasks", "show", "nonsense"), "there is no run"),
        (("tasks", "list", "--status", "done"), "status"),
    ],
)
def test_a_refusal_is_told_on_stderr_with_code_1(
    turtle: Turtle, words: Sequence[str], said: str
) -> None:
    result = turtle(*words)

    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stdout == ""


def test_with_json_a_refusal_is_a_problem_on_stdout_too(turtle: Turtle) -> None:
    problem = turtle.json("enqueue", "canary.ecko", "value=1", code=1)

    assert "canary.echo" in problem["near"]


def test_one_refused_run_does_not_keep_the_others_from_being_cancelled(turtle: Turtle) -> None:
    finished, ready = make_run(status=RunStatus.SUCCESSFUL), make_run()
    result = turtle("tasks", "cancel", str(finished.pk), str(ready.pk))

    assert result.exit_code == 1
    assert "SUCCESSFUL" in result.stderr
    assert TaskRun.objects.get(pk=ready.pk).status == RunStatus.CANCELLED


@pytest.mark.parametrize(
    "words",
    [
        ("enqueue",),
        ("enqueue", "canary.echo", "1"),
        ("enqueue", "canary.echo", "a=1", "a=2"),
        ("enqueue", "canary.echo", "--args", "{}"),
        ("enqueue", "canary.echo", "--args", "["),
        ("enqueue", "canary.echo", "--at", "soon"),
        ("enqueue", "canary.echo", "--at", "2031-01-01T00:00:00"),
        ("enqueue", "canary.echo", "--at", "2031-01-01T00:00:00Z", "--delay", "1"),
        ("enqueue", "canary.echo", "--delay", "-1"),
        ("enqueue", "canary.echo", "--expires", "nan"),
        ("tasks", "list", "--since", "1w"),
        ("tasks", "list", "--limit", "0"),
    ],
)
def test_wrong_use_is_code_2_and_calls_nobody(words: Sequence[str]) -> None:
    result = Turtle("http://127.0.0.1:1/api/v1", Path("/nonexistent"))(*words)

    assert result.exit_code == 2
    assert "Usage" in result.stderr


@pytest.mark.parametrize(
    "words", [("enqueue",), ("tasks", "list"), ("tasks", "wait"), ("workers",), ("queues",)]
)
def test_every_command_has_help_with_an_example(words: Sequence[str]) -> None:
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200"})

    assert result.exit_code == 0
    assert "Example" in result.stdout


def test_ages_are_told_in_one_unit() -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    assert age("2026-03-01T11:59:30Z", now) == "30 s"
    assert age(None, now) == "never"
    assert [span(s) for s in (None, 119, 120, 7200, 172_800)] == [
        "-",
        "119 s",
        "2 min",
        "2 h",
        "2 d",
    ]
    assert past("2026-03-01T11:00:00Z", "--since") == "2026-03-01T11:00:00+00:00"
