"""Calls at the door: what is refused, with which words, and what becomes of the options."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.entity import Queue

from fleet.policy.errors import (
    BadArgumentsError,
    FleetError,
    RefusedError,
    TooLargeError,
    UnknownNameError,
)
from tasks.app import app
from tasks.call import MAX_KEY_CHARS, Call, call_from_celery, make_call, task_contracts
from tasks.settings import settings

LOG = "dev.git_log"
URL = ["https://example.org/x.git"]


def celery(name: str = LOG, args: Any = URL, kwargs: Any = None, **options: Any) -> Call:
    return call_from_celery(app, name, args, kwargs, options)


BAD_CALLS: list[tuple[dict[str, Any], type[FleetError], str]] = [
    ({"name": "dev.git_lag"}, UnknownNameError, r"unknown task 'dev\.git_lag'.*dev\.git_log"),
    ({"name": "celery.accumulate"}, UnknownNameError, r"unknown task 'celery\.accumulate'"),
    ({"name": ""}, UnknownNameError, r"unknown task ''; known: canary"),
    ({"queue": "devv"}, UnknownNameError, r"unknown queue 'devv'; did you mean dev\?"),
    ({"queue": "dev.dc4"}, UnknownNameError, r"unknown site 'dc4'; did you mean dc3 or dc2 or dc1"),
    ({"site": "dc11"}, UnknownNameError, r"unknown site 'dc11'; did you mean dc1"),
    ({"queue": "udm"}, BadArgumentsError, r"needs the capability 'dev'; the queue 'udm' cannot"),
    ({"queue": "dev.dc1", "site": "dc2"}, BadArgumentsError, r"site 'dc2' contradicts.*'dev\.dc1'"),
    ({"args": []}, BadArgumentsError, r"dev\.git_log: .*missing.*'url'"),
    ({"args": [*URL, 5, 6]}, BadArgumentsError, r"dev\.git_log: .*takes.*2.*3 were given"),
    ({"kwargs": {"limt": 5}}, BadArgumentsError, r"unexpected keyword argument 'limt'"),
    ({"kwargs": {"url": "x"}}, BadArgumentsError, r"multiple values for argument 'url'"),
    ({"kwargs": {1: 2}}, BadArgumentsError, r"keywords must be strings"),
    ({"name": "canary.echo", "args": [{1: 2}]}, BadArgumentsError, r"args\[0\] has the key 1,"),
    (
        {"name": "canary.echo", "args": None, "kwargs": {"value": {"a": [0, {None: 2}]}}},
        BadArgumentsError,
        r"canary\.echo: value\.a\[1\] has the key None, which is no text",
    ),
    ({"args": "https://x"}, BadArgumentsError, r"args must be a list, not str"),
    ({"args": {"url": "x"}}, BadArgumentsError, r"args must be a list, not dict"),
    ({"kwargs": ["x"]}, BadArgumentsError, r"kwargs must be an object, not list"),
    ({"args": [object()]}, BadArgumentsError, r"args\[0\] is not JSON"),
    ({"args": [*URL, {1, 2}]}, BadArgumentsError, r"log: args\[1\] is not JSON"),
    ({"kwargs": {"limit": float("nan")}}, BadArgumentsError, r"log: limit is not JSON"),
    ({"args": [b"bytes"]}, BadArgumentsError, r"args\[0\] is not JSON; pass strings, numbers"),
    ({"args": ["\ud800"]}, BadArgumentsError, r"args\[0\] is not JSON"),
    ({"args": ["a\0b"]}, BadArgumentsError, r"U\+0000"),
    ({"args": [datetime.now(UTC)]}, BadArgumentsError, r"args\[0\] is not JSON"),
    (
        {"args": ["x" * 70_000]},
        TooLargeError,
        r"7\d{4} bytes.*limit is 65536 bytes.*max_args_bytes",
    ),
    ({"priority": "urgent"}, BadArgumentsError, r"'urgent': use batch, normal, high, incident"),
    ({"priority": 101}, BadArgumentsError, r"from -100 to 100"),
    ({"idempotency_key": ""}, BadArgumentsError, r"idempotency_key must be a text of 1 to 200"),
    ({"idempotency_key": "k" * 201}, BadArgumentsError, r"1 to 200"),
    ({"idempotency_key": "a\0b"}, BadArgumentsError, r"U\+0000"),
    ({"idempotency_key": "\ud800"}, BadArgumentsError, r"surrogate"),
    ({"idempotency_key": 5}, BadArgumentsError, r"idempotency_key must be a text"),
    ({"task_id": "not-a-uuid"}, BadArgumentsError, r"task_id 'not-a-uuid' is not a UUID"),
    ({"task_id": 5}, BadArgumentsError, r"task_id 5 is not a UUID"),
]


@pytest.mark.parametrize(
    ("call", "error", "words"), BAD_CALLS, ids=[str(c[0])[:40] for c in BAD_CALLS]
)
def test_a_bad_call_is_refused_at_the_door_and_told_why(
    call: dict[str, Any], error: type[FleetError], words: str
) -> None:
    with pytest.raises(error, match=words) as refused:
        celery(**call)
    assert isinstance(refused.value, RefusedError)
    assert not refused.value.transient
    assert isinstance(refused.value, ValueError) or error is RefusedError


def test_a_value_that_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(BadArgumentsError):
        celery(args=[endless])


@pytest.mark.parametrize(
    ("options", "site", "queue"),
    [
        ({}, "", "dev"),
        ({"site": "dc2"}, "dc2", "dev.dc2"),
        ({"queue": "dev"}, "", "dev"),
        ({"queue": "dev.dc1"}, "dc1", "dev.dc1"),
        ({"queue": "dev", "site": "dc1"}, "dc1", "dev.dc1"),
        ({"queue": "dev.dc1", "site": "dc1"}, "dc1", "dev.dc1"),
        ({"queue": Queue("dev.dc2")}, "dc2", "dev.dc2"),  # type: ignore[no-untyped-call]
        ({"routing_key": "dev.dc2"}, "dc2", "dev.dc2"),
    ],
)
def test_queue_and_site_say_where_a_run_may_go(
    options: dict[str, Any], site: str, queue: str
) -> None:
    call = celery(**options)
    assert (call.site, call.queue) == (site, queue)


def test_a_usual_call_has_an_id_that_sorts_by_time_and_no_conditions() -> None:
    before, call, after = uuid.UUID(int=0), celery(kwargs={"limit": 5}), celery()
    assert before < call.id
    assert call.id.version == 7
    assert call.id.int >> 80 <= after.id.int >> 80
    assert (call.args, call.kwargs, call.priority) == (URL, {"limit": 5}, 0)
    assert (call.run_after, call.expires_at, call.key, call.group_id) == (None, None, None, "")
    assert call.contract is task_contracts(app)[LOG]


def test_a_time_without_zone_is_refused_where_no_celery_convention_holds() -> None:
    for name in ("run_after", "expires_at"):
        with pytest.raises(BadArgumentsError, match=rf"{name} 2030-.* has no time zone"):
            make_call(app, LOG, URL, **{name: datetime(2030, 1, 31)})  # type: ignore[arg-type]  # noqa: DTZ001


def test_arguments_up_to_the_limit_are_accepted() -> None:
    limit = settings().limits.max_args_bytes
    overhead = len(json.dumps([[""], {}], separators=(",", ":")))
    assert celery(args=["x" * (limit - overhead)]).args
    with pytest.raises(TooLargeError) as refused:
        celery(args=["x" * (limit - overhead + 1)])
    assert refused.value.limit_bytes == limit


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"priority": "high"}, True),
        ({"countdown": 5}, True),
        ({"args": ["https://example.org/y.git"]}, False),
        ({"kwargs": {"limit": 6}}, False),
        ({"kwargs": None}, False),
        ({"site": "dc1"}, False),
        ({"name": "dev.git_clone", "kwargs": None}, False),
        ({"args": [*URL, 5], "kwargs": None}, True),
        ({"args": None, "kwargs": {"limit": 5, "url": URL[0]}}, True),
        ({"args": [*URL, 6], "kwargs": None}, False),
    ],
)
def test_the_digest_tells_the_same_content_from_other_content(
    change: dict[str, Any], same: bool
) -> None:
    usual: dict[str, Any] = {"kwargs": {"limit": 5}, "idempotency_key": "k"}
    assert (celery(**usual).digest() == celery(**(usual | change)).digest()) is same


def test_the_longest_key_is_kept_as_it_is() -> None:
    key = "ключ " * 40
    assert len(key) == MAX_KEY_CHARS
    assert celery(idempotency_key=key).key == key


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(json_values)
def test_any_value_is_accepted_as_it_is_or_refused(value: Any) -> None:
    try:
        call = celery("canary.echo", [value])
    except RefusedError:
        return
    assert json.loads(json.dumps(call.args)) == [value]
