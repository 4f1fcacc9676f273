"""POST /tasks: what is accepted, and what bad input gets."""

import json
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError
from hypothesis import given
from hypothesis import settings as trial
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from fleet.models import RunEvent, Scope, TaskRun
from tasks.settings import settings
from tests.fleet.api_calls import Api, make_token, ok, problem

pytestmark = pytest.mark.django_db
#: PostgreSQL keeps no NUL characters; a call with one is refused there.
STORABLE = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@pytest.fixture
def api() -> Api:
    return Api(make_token("olga", Scope.ENQUEUE))


def test_a_task_is_accepted_with_everything_that_was_said(api: Api) -> None:
    body = {
        "task": "canary.echo",
        "args": [{"deep": [1, None, "ä"]}],
        "site": "dc1",
        "priority": "high",
        "run_after": "2031-01-01T06:00:00+02:00",
        "expires_at": "2031-01-02T00:00:00Z",
        "idempotency_key": "monday",
    }
    run = ok(api.post("/tasks", body), 201)

    assert run["created"] is True
    assert run["status"] == "READY"
    assert run["args"] == body["args"]
    assert (run["queue_name"], run["site"], run["priority"]) == ("dev.dc1", "dc1", 50)
    assert run["run_after"] == "2031-01-01T04:00:00Z"
    assert run["enqueued_by"] == "token olga"
    stored = TaskRun.objects.get(pk=run["id"])
    assert stored.args == body["args"]
    assert RunEvent.objects.filter(run=stored).count() == 1


def test_the_same_key_gives_the_first_run_again_with_200(api: Api) -> None:
    body = {"task": "canary.echo", "args": [1], "idempotency_key": "k"}
    first = ok(api.post("/tasks", body), 201)
    again = ok(api.post("/tasks", body), 200)

    assert again["id"] == first["id"]
    assert again["created"] is False
    assert TaskRun.objects.count() == 1


def test_an_argument_by_name_is_the_same_content_as_by_place(api: Api) -> None:
    first = ok(
        api.post("/tasks", {"task": "canary.echo", "args": [1], "idempotency_key": "k"}), 201
    )
    named = {"task": "canary.echo", "kwargs": {"value": 1}, "idempotency_key": "k"}
    again = ok(api.post("/tasks", named), 200)

    assert (again["id"], again["args"], again["kwargs"]) == (first["id"], [1], {})


def test_the_same_key_with_other_content_is_409(api: Api) -> None:
    ok(api.post("/tasks", {"task": "canary.echo", "args": [1], "idempotency_key": "k"}), 201)
    other = {"task": "canary.echo", "args": [2], "idempotency_key": "k"}

    assert "new key" in problem(api.post("/tasks", other), 409)["detail"]
    assert TaskRun.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "near"),
    [
        ({"task": "canary.ecko", "args": [1]}, "canary.echo"),
        ({"task": "canary.echo", "args": [1], "site": "dc4"}, "dc1"),
        ({"task": "canary.echo", "args": [1], "queue": "devv"}, "dev"),
        ({"task": "canary.echo", "args": [1], "queue": "dev.dc9"}, "dc1"),
    ],
)
def test_an_unknown_name_is_422_with_the_near_ones(
    api: Api, body: dict[str, Any], near: str
) -> None:
    assert near in problem(api.post("/tasks", body), 422)["near"]
    assert not TaskRun.objects.exists()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"task": "canary.echo", "kwargs": {"valu": 1}}, "valu"),
        ({"task": "canary.echo"}, "value"),
        ({"task": "canary.echo", "args": [1, 2]}, "argument"),
        ({"task": "canary.echo", "args": [1], "priority": "soon"}, "incident"),
        ({"task": "canary.echo", "args": [1], "priority": 101}, "-100 to 100"),
        ({"task": "canary.echo", "args": [1], "queue": "udm"}, "capability"),
        ({"task": "canary.echo", "args": [1], "site": "dc1", "queue": "dev.dc2"}, "contradicts"),
        ({"task": "canary.echo", "args": [1], "run_after": "2031-01-01T00:00:00"}, "time zone"),
        ({"task": "canary.echo", "args": [1], "idempotency_key": ""}, "idempotency_key"),
        (
            {"task": "dev.git_log", "kwargs": {"url": "/x", "limit": "abc"}},
            'dev.git_log: limit must be int, not "abc"',
        ),
        ({"task": "dev.git_log", "kwargs": {"url": 5}}, "url must be str, not 5"),
        (
            {"task": "dev.run_command", "kwargs": {"command": "ls", "arguments": "-l"}},
            'arguments must be list[str], not "-l"',
        ),
        (
            {"task": "canary.echo", "args": [1], "expires_at": "2020-01-01T00:00:00Z"},
            "expires_at 2020-01-01T00:00:00+00:00 has passed",
        ),
        (
            {
                "task": "canary.echo",
                "args": [1],
                "run_after": "2031-01-02T00:00:00Z",
                "expires_at": "2031-01-01T00:00:00Z",
            },
            "is not before expires_at 2031-01-01",
        ),
    ],
)
def test_a_call_that_does_not_fit_is_422_and_says_why(
    api: Api, body: dict[str, Any], said: str
) -> None:
    assert said in problem(api.post("/tasks", body), 422)["detail"]
    assert not TaskRun.objects.exists()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"args": []}, "#/task"),
        ({"task": "canary.echo", "args": "abc"}, "#/args"),
        ({"task": "canary.echo", "kwargs": [1]}, "#/kwargs"),
        ({"task": "canary.echo", "countdown": 5}, "#/countdown"),
        ({"task": "canary.echo", "run_after": "soon"}, "#/run_after"),
        ([{"task": "canary.echo", "args": [1]}, {"task": 5}], "#/1/task"),
    ],
)
def test_a_body_of_the_wrong_shape_is_422_and_points_at_the_place(
    api: Api, body: Any, pointer: str
) -> None:
    found = problem(api.post("/tasks", body), 422)

    assert pointer in [error["pointer"] for error in found["errors"]]


@pytest.mark.parametrize("content", ["{", '{"task": }', b"\xff\xfe", "nul", "[" * 100_000])
def test_what_is_not_json_is_400(api: Api, content: str | bytes) -> None:
    problem(api.post_raw("/tasks", content), 400)


@pytest.mark.parametrize("content", ["", "null", "5", '"text"', "[]"])
def test_json_that_is_no_call_is_422(api: Api, content: str) -> None:
    problem(api.post_raw("/tasks", content), 422)


@pytest.mark.parametrize("depth", [70, 300])
def test_arguments_nested_too_deeply_are_422(api: Api, depth: int) -> None:
    content = '{"task": "canary.echo", "args": [' + "[" * depth + "]" * depth + "]}"

    assert "deep" in problem(api.post_raw("/tasks", content), 422)["detail"]


def test_not_a_number_is_no_json_and_refused(api: Api) -> None:
    found = problem(api.post_raw("/tasks", '{"task": "canary.echo", "args": [NaN]}'), 422)

    assert "args[0]" in found["detail"]


def test_arguments_above_the_limit_are_413_and_name_it(api: Api) -> None:
    limit_bytes = settings().limits.max_args_bytes
    found = problem(api.post("/tasks", {"task": "canary.echo", "args": ["x" * limit_bytes]}), 413)

    assert found["limit_bytes"] == limit_bytes
    assert str(limit_bytes) in found["detail"]


def test_a_body_above_the_limit_is_413(api: Api) -> None:
    limit_bytes = django_settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    assert limit_bytes is not None
    found = problem(api.post_raw("/tasks", " " * (limit_bytes + 1)), 413)

    assert found["limit_bytes"] == limit_bytes


def test_a_list_is_accepted_in_order(api: Api) -> None:
    body = [
        {"task": "canary.echo", "args": [0]},
        {"task": "canary.echo", "args": [1], "idempotency_key": "one"},
        {"task": "canary.echo", "args": [2]},
    ]
    runs = ok(api.post("/tasks", body), 201)

    assert [run["args"] for run in runs] == [[0], [1], [2]]
    assert TaskRun.objects.count() == 3


def test_a_list_with_one_bad_call_is_refused_as_a_whole_and_names_the_index(api: Api) -> None:
    body = [{"task": "canary.echo", "args": [1]}, {"task": "canary.ech", "args": [1]}]
    found = problem(api.post("/tasks", body), 422)

    assert found["index"] == 1
    assert "canary.echo" in found["near"]
    assert found["detail"].startswith("item 1:")
    assert not TaskRun.objects.exists()


def test_a_list_with_a_key_in_use_is_rolled_back_and_names_the_index(api: Api) -> None:
    ok(api.post("/tasks", {"task": "canary.echo", "args": [1], "idempotency_key": "k"}), 201)
    body = [
        {"task": "canary.echo", "args": [0]},
        {"task": "canary.echo", "args": [2], "idempotency_key": "k"},
    ]
    found = problem(api.post("/tasks", body), 409)

    assert found["index"] == 1
    assert TaskRun.objects.count() == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("database is locked", "busy"),
        ("database or disk is full", "full"),
        ("attempt to write a readonly database", "read-only"),
        ("connection to server at 10.0.0.9 failed", "cannot be reached"),
    ],
)
def test_a_ledger_that_cannot_be_written_is_503_with_the_reason(
    api: Api, words: str, said: str
) -> None:
    with patch("fleet.ledger.enqueue.insert_rows", side_effect=OperationalError(words)):
        response = api.post("/tasks", {"task": "canary.echo", "args": [1]})

    found = problem(response, 503)
    assert said in found["detail"]
    assert "10.0.0.9" not in json.dumps(found)
    assert int(response["Retry-After"]) > 0
    assert not TaskRun.objects.exists()


def test_an_unexpected_failure_is_500_without_a_word_of_the_inside(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    with patch(
        "fleet.ledger.enqueue.insert_rows", side_effect=RuntimeError("secret of the inside")
    ):
        response = api.post("/tasks", {"task": "canary.echo", "args": [1]})

    assert "secret" not in json.dumps(problem(response, 500))
    assert "secret of the inside" in caplog.text


class AnyJson(TestCase):
    """Whatever JSON is sent, the answer is a refusal or an accepted run, never a failure."""

    @trial(deadline=None, max_examples=50)
    @given(
        body=st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["task", "args", "kwargs", "site", "priority", "run_after", "x"]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=12,
        )
    )
    def test_any_json_is_refused_politely_or_accepted(self, body: Any) -> None:
        api = Api(make_token(f"t{TaskRun.objects.count()}", Scope.ENQUEUE))

        assert api.post_raw("/tasks", json.dumps(body)).status_code in (201, 422)

    @trial(deadline=None, max_examples=50)
    @given(value=st.recursive(st.none() | st.integers() | STORABLE, st.lists, max_leaves=10))
    def test_what_was_sent_comes_back(self, value: Any) -> None:
        api = Api(make_token("t", Scope.ENQUEUE))
        run = ok(api.post("/tasks", {"task": "canary.echo", "kwargs": {"value": value}}), 201)

        assert run["kwargs"] == {"value": value}
