"""The options of Celery's calls: each is served, refused, or without meaning here."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.policy.errors import BadArgumentsError, FleetError, RefusedError, UnknownNameError
from tasks.app import app
from tasks.call import Call, call_from_celery
from tasks.celery_options import CANVAS_OPTIONS
from tasks.settings import settings

LOG = "dev.git_log"
URL = ["https://example.org/x.git"]


def celery(name: str = LOG, args: Any = URL, kwargs: Any = None, **options: Any) -> Call:
    return call_from_celery(app, name, args, kwargs, options)


BAD_OPTIONS: list[tuple[dict[str, Any], type[FleetError], str]] = [
    ({"countdown": "soon"}, BadArgumentsError, r"countdown 'soon' is not a number of seconds"),
    ({"countdown": True}, BadArgumentsError, r"countdown True"),
    ({"countdown": float("nan")}, BadArgumentsError, r"countdown nan"),
    ({"countdown": 1e12}, BadArgumentsError, r"countdown 1000000000000"),
    ({"eta": "tomorrow"}, BadArgumentsError, r"eta 'tomorrow' is not an ISO 8601 time"),
    ({"eta": 5}, BadArgumentsError, r"eta 5 is no datetime; for example"),
    ({"expires": "later"}, BadArgumentsError, r"expires 'later' is not an ISO 8601 time"),
    ({"expires": float("inf")}, BadArgumentsError, r"expires inf"),
    ({"expires": [1]}, BadArgumentsError, r"expires \[1\] is no datetime"),
    (
        {"eta": datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5)))},
        BadArgumentsError,
        r"eta 9999-12-31.* is out of range",
    ),
    ({"countdown": -1}, BadArgumentsError, r"countdown -1 is in the past; use 0 or more seconds"),
    ({"countdown": 5, "eta": "2030-01-31T12:00Z"}, BadArgumentsError, r"eta and countdown contr"),
    ({"eta": datetime(2030, 1, 31)}, BadArgumentsError, r"eta 2030-01-31.* has no time zone"),  # noqa: DTZ001
    ({"eta": "2030-01-31T12:00"}, BadArgumentsError, r"eta 2030-01-31.* has no time zone"),
    ({"expires": "2030-01-31T12:00"}, BadArgumentsError, r"expires 2030.* has no time zone"),
    ({"expires": -1}, BadArgumentsError, r"expires -1 is in the past"),
    ({"expires": 0}, BadArgumentsError, r"expires_at .* has passed: the run could never start"),
    ({"expires": "2020-01-31T12:00Z"}, BadArgumentsError, r"expires_at 2020-01-31.* has passed"),
    (
        {"eta": "2030-01-31T12:00Z", "expires": "2030-01-31T12:00Z"},
        BadArgumentsError,
        r"run_after 2030.* is not before expires_at 2030.*could never start",
    ),
    ({"countdown": 60, "expires": 30}, BadArgumentsError, r"run_after .* is not before expires_at"),
    ({"bogus": 1}, UnknownNameError, r"unknown option 'bogus'; known: countdown, eta, expires,"),
    (
        {"idempotencykey": "k"},
        UnknownNameError,
        r"unknown option 'idempotencykey'; did you mean idempotency_key",
    ),
    ({"cuontdown": None}, UnknownNameError, r"unknown option 'cuontdown'; did you mean countdown"),
    ({"time_limit": 3}, BadArgumentsError, r"dev\.git_log: time_limit cannot be chosen: the task"),
    ({"soft_time_limit": 0}, BadArgumentsError, r"soft_time_limit cannot be chosen"),
    ({"serializer": "pickle"}, BadArgumentsError, r"serializer cannot be chosen: messages are JS"),
    ({"compression": "gzip"}, BadArgumentsError, r"compression cannot be chosen"),
    ({"exchange": "other"}, BadArgumentsError, r"exchange cannot be chosen"),
    ({"headers": {"mine": 1}}, BadArgumentsError, r"headers cannot be chosen"),
    ({"headers": "mine"}, BadArgumentsError, r"headers cannot be chosen"),
    ({"shadow": "other"}, BadArgumentsError, r"shadow cannot be chosen"),
    (
        {"queue": "dev.dc1", "routing_key": "dev.dc2"},
        BadArgumentsError,
        r"routing_key 'dev\.dc2' contradicts the queue 'dev\.dc1'",
    ),
    ({"name": "celery.map"}, RefusedError, r"celery\.map would be many calls.*enqueue_many"),
]


@pytest.mark.parametrize(
    ("options", "error", "words"), BAD_OPTIONS, ids=[str(o[0])[:40] for o in BAD_OPTIONS]
)
def test_a_bad_option_is_refused_at_the_door_and_told_why(
    options: dict[str, Any], error: type[FleetError], words: str
) -> None:
    with pytest.raises(error, match=words) as refused:
        celery(**options)
    assert isinstance(refused.value, RefusedError)
    assert not refused.value.transient
    assert isinstance(refused.value, ValueError) or error is RefusedError


def with_option(name: str, value: Any) -> dict[str, Any]:
    return {name: value}


@pytest.mark.parametrize("option", CANVAS_OPTIONS)
def test_an_option_that_needs_a_second_message_is_refused_by_its_name(option: str) -> None:
    with pytest.raises(RefusedError, match=rf"dev\.git_log: {option} cannot be kept durable"):
        celery(**with_option(option, [app.signature(LOG, URL)]))


@pytest.mark.parametrize("option", CANVAS_OPTIONS)
def test_an_option_that_is_there_but_empty_is_no_canvas(option: str) -> None:
    assert celery(**with_option(option, None)).args == URL
    assert celery(**with_option(option, [])).args == URL


MOMENT = datetime(2030, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "eta",
    [
        MOMENT,
        MOMENT.astimezone(timezone(timedelta(hours=9))),
        "2030-01-31T12:00:00+00:00",
        "2030-01-31T12:00:00Z",
        "2030-01-31T21:00+09:00",
    ],
)
def test_eta_and_expires_are_moments_in_utc_whatever_their_form(eta: Any) -> None:
    starts, ends = celery(eta=eta).run_after, celery(expires=eta).expires_at
    assert starts == ends == MOMENT
    assert starts is not None
    assert starts.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "options",
    [
        {"time_limit": 930, "soft_time_limit": 900, "serializer": "json", "exchange": ""},
        {"headers": {"celery_beat_task": True, "periodic_task_name": "hourly"}, "producer": None},
        {"ignore_result": True, "retry": False, "root_id": "x", "add_to_parent": False},
        {"shadow": LOG, "retries": 0, "stamped_headers": [], "headers": {}},
    ],
)
def test_what_celery_adds_by_itself_and_what_is_so_anyway_is_no_mistake(
    options: dict[str, Any],
) -> None:
    assert celery(**options).args == URL


def test_countdown_and_expires_count_from_now() -> None:
    start = datetime.now(UTC)
    call = celery(countdown=30, expires=60.5)
    end = datetime.now(UTC)
    assert call.run_after is not None
    assert call.expires_at is not None
    assert start <= call.run_after - timedelta(seconds=30) <= end
    assert start <= call.expires_at - timedelta(seconds=60.5) <= end


anything: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.datetimes(),
    st.lists(st.integers(), max_size=2),
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "countdown": anything,
            "eta": anything,
            "expires": anything,
            "priority": anything,
            "idempotency_key": anything,
            "task_id": anything,
            "queue": st.text(max_size=8),
            "site": st.text(max_size=5),
        },
    )
)
def test_any_options_make_a_call_or_a_refusal_and_nothing_else(options: dict[str, Any]) -> None:
    try:
        call = celery(**options)
    except RefusedError:
        return
    assert call.site in ("", *settings().sites)
    assert -100 <= call.priority <= 100
