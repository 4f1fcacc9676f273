"""GET /tasks with its filters and pages, one run with its history, cancel and retry."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from fleet.models import Attempt, HomeMail, Scope, TaskRun
from fleet.policy.states import AttemptStatus, RunStatus
from tests.fleet.api_calls import Api, make_run, make_site, make_token, ok, problem
from tests.fleet.view_rows import worker_at

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def api() -> Api:
    return Api(make_token("olga", Scope.ENQUEUE))


def ids(page: dict[str, list[dict[str, str]]]) -> list[str]:
    return [item["id"] for item in page["items"]]


def attempt(run: TaskRun, token: int, **fields: object) -> Attempt:
    values = {"number": 1, "queue_name": run.queue_name, "created_at": NOON}
    return Attempt.objects.create(run=run, token=token, **{**values, **fields})


def test_the_newest_run_comes_first(api: Api) -> None:
    old = make_run(enqueued_at=NOON)
    new = make_run(enqueued_at=NOON + timedelta(seconds=1))

    assert ids(ok(api.get("/tasks"))) == [str(new.pk), str(old.pk)]


def test_pages_hold_every_run_once_also_when_all_have_the_same_time(api: Api) -> None:
    made = {str(make_run(enqueued_at=NOON).pk) for _ in range(7)}
    seen: list[str] = []
    query = {"limit": 3}
    while query:
        page = ok(api.get("/tasks", **query))
        seen += ids(page)
        query = {"limit": 3, "cursor": page["next"]} if page["next"] else {}

    assert len(seen) == 7
    assert set(seen) == made


def test_a_run_that_arrives_meanwhile_does_not_move_the_next_page(api: Api) -> None:
    older = [make_run(enqueued_at=NOON - timedelta(seconds=n)) for n in range(4)]
    first = ok(api.get("/tasks", limit=2))
    make_run(enqueued_at=NOON + timedelta(seconds=1))
    second = ok(api.get("/tasks", limit=2, cursor=first["next"]))

    assert ids(first) + ids(second) == [str(run.pk) for run in older]
    assert second["next"] is None


@pytest.mark.parametrize("cursor", ["x", "AAAA", "W10", "ä", "WzEsMl0", "bnVsbA"])
def test_a_broken_cursor_is_422(api: Api, cursor: str) -> None:
    found = problem(api.get("/tasks", cursor=cursor), 422)

    assert found["errors"][0]["parameter"] == "cursor"


def test_status_takes_several_in_two_ways(api: Api) -> None:
    for status in (RunStatus.READY, RunStatus.FAILED, RunStatus.DEAD):
        make_run(status=status)

    for query in ({"status": ["READY", "FAILED"]}, {"status": "ready,failed"}):
        found = {item["status"] for item in ok(api.get("/tasks", **query))["items"]}
        assert found == {"READY", "FAILED"}


def test_every_filter_keeps_what_it_names(api: Api) -> None:
    wanted = make_run(
        task="udm.health",
        queue_name="udm.dc1",
        site="dc1",
        worker_id="udm@mini-1",
        enqueued_at=NOON,
        status=RunStatus.FAILED,
    )
    make_run(enqueued_at=NOON - timedelta(days=1))

    for query in (
        {"task": "udm.health"},
        {"queue": "udm.dc1"},
        {"site": "dc1"},
        {"worker": "udm@mini-1"},
        {"since": "2026-03-01T12:00:00Z"},
        {"since": "2026-03-01T13:00:00 01:00"},
        {"status": "FAILED", "until": "2026-03-01T12:00:01Z"},
    ):
        assert ids(ok(api.get("/tasks", **query))) == [str(wanted.pk)], query
    assert ids(ok(api.get("/tasks", until="2026-03-01T12:00:00Z", task="udm.health"))) == []


def test_site_and_worker_also_find_runs_that_were_attempted_there(api: Api) -> None:
    run = make_run(worker_id="second@b")
    attempt(run, 1, site="dc2", worker_id="first@a")
    make_run()

    assert ids(ok(api.get("/tasks", site="dc2"))) == [str(run.pk)]
    assert ids(ok(api.get("/tasks", worker="first@a"))) == [str(run.pk)]


def test_free_text_looks_into_task_id_arguments_and_error(api: Api) -> None:
    run = make_run(
        task="udm.health",
        args=["Grüße"],
        kwargs={"path": "/srv/git"},
        error={"kind": "TheirError", "message": '50% of "nothing"'},
    )
    make_run(args=["other"])

    for text in ("HEALTH", "Grüß", "/srv/git", '50% of "noth', str(run.pk)[:13], str(run.pk)):
        assert ids(ok(api.get("/tasks", q=text))) == [str(run.pk)], text
    assert ids(ok(api.get("/tasks", q="50_ of"))) == []


@pytest.mark.parametrize(
    "query",
    [
        {"status": "DONE"},
        {"limit": 0},
        {"limit": 501},
        {"since": "yesterday"},
        {"since": "2026-03-01T12:00:00"},
        {"state": "READY"},
    ],
)
def test_a_filter_that_cannot_be_meant_is_422(api: Api, query: dict[str, str]) -> None:
    found = problem(api.get("/tasks", **query), 422)

    assert found["errors"][0]["parameter"] in query


def test_a_run_is_shown_with_attempts_events_and_why_it_waits(api: Api) -> None:
    run_id = ok(api.post("/tasks", {"task": "canary.echo", "args": [1]}), 201)["id"]
    attempt(
        TaskRun.objects.get(pk=run_id), 7, status=AttemptStatus.LOST, worker_id="w@a", site="dc1"
    )
    run = ok(api.get(f"/tasks/{run_id}"))

    assert run["waiting_reason"]
    assert [event["to_status"] for event in run["events"]] == ["READY"]
    assert run["events"][0]["who"] == "token olga"
    assert [(a["token"], a["status"]) for a in run["attempt_list"]] == [(7, "LOST")]
    assert run["worker_ids"] == ["w@a"]
    assert run["return_value"] is None


def test_a_finished_run_shows_its_result_and_does_not_wait(api: Api) -> None:
    run = make_run(status=RunStatus.SUCCESSFUL, return_value=[1, {"a": None}])
    shown = ok(api.get(f"/tasks/{run.pk}"))

    assert shown["return_value"] == [1, {"a": None}]
    assert shown["waiting_reason"] == ""


@pytest.mark.parametrize("run_id", ["1", "ä", str(uuid.uuid4()), "x" * 500])
def test_an_unknown_id_is_404(api: Api, run_id: str) -> None:
    problem(api.get(f"/tasks/{run_id}"), 404)
    problem(api.post(f"/tasks/{run_id}/cancel", {}), 404)


def test_a_run_is_cancelled_and_retried_with_who_and_why(api: Api) -> None:
    run_id = ok(api.post("/tasks", {"task": "canary.echo", "args": [1]}), 201)["id"]
    cancelled = ok(api.post(f"/tasks/{run_id}/cancel", {"why": "wrong box"}))
    retried = ok(api.post(f"/tasks/{run_id}/retry"))

    assert cancelled["status"] == "CANCELLED"
    assert cancelled["events"][-1]["why"] == "wrong box"
    assert cancelled["events"][-1]["who"] == "token olga"
    assert retried["status"] == "READY"


def test_what_cannot_be_done_now_is_409_and_changes_nothing(api: Api) -> None:
    run = make_run(status=RunStatus.SUCCESSFUL)
    found = problem(api.post(f"/tasks/{run.pk}/retry", {}), 409)

    assert found["run_status"] == "SUCCESSFUL"
    problem(api.post(f"/tasks/{run.pk}/cancel", {}), 409)
    run.refresh_from_db()
    assert run.status == RunStatus.SUCCESSFUL


def test_a_run_of_a_sites_home_is_asked_for_by_mail_and_answers_202(api: Api) -> None:
    make_site("dc1", 1)
    run = make_run(home="dc1")
    ok(api.post(f"/tasks/{run.pk}/cancel", {"why": "not needed"}), 202)

    assert HomeMail.objects.get().kind == "cancel"


@pytest.mark.parametrize("body", [{"why": "x" * 301}, {"because": "x"}, [], "why"])
def test_a_reason_of_the_wrong_shape_is_422(api: Api, body: object) -> None:
    run = make_run()

    problem(api.post_raw(f"/tasks/{run.pk}/cancel", json.dumps(body)), 422)


@pytest.mark.parametrize(
    ("query", "near"),
    [
        ({"site": "dc9"}, "dc1"),
        ({"task": "dev.git_lgo"}, "dev.git_log"),
        ({"queue": "devv"}, "dev"),
        ({"queue": "dev.dc9"}, "dev.dc1"),
        ({"worker": "celery@mini.dc9"}, "celery@mini.dc1"),
    ],
)
def test_a_filter_with_a_name_that_nobody_knows_is_422(
    api: Api, query: dict[str, str], near: str
) -> None:
    worker_at(make_site("dc1", 1), "mini", "dev")
    body = problem(api.get("/tasks", **query), 422)

    assert body["kind"] == next(iter(query))
    assert near in body["near"]


@pytest.mark.parametrize(
    "query",
    [
        {"site": "dc3"},
        {"site": "old"},
        {"site": "older"},
        {"task": "gone.task"},
        {"task": "dev.git_log"},
        {"queue": "gone.old"},
        {"queue": "udm.dc2"},
        {"worker": "gone@a"},
    ],
)
def test_a_name_of_the_registry_or_of_an_old_run_is_known(api: Api, query: dict[str, str]) -> None:
    run = make_run("gone.task", queue_name="gone.old", site="old", worker_id="gone@a")
    attempt(run, 1, site="older")

    ok(api.get("/tasks", **query))
