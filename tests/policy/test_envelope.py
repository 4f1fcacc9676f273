"""What is signed, what is read back, and what a worker refuses."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fleet.policy.envelope import (
    CLOCK_SKEW_MS,
    HEADER_FIELDS,
    Envelope,
    Refusal,
    canonical_json,
    header,
    judge,
    read,
    signed_bytes,
)

NOW_MS = 1_800_000_000_000
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc", max_size=3), inner),
    max_leaves=8,
)


def envelope(**fields: Any) -> Envelope:
    good = Envelope(
        task="dev.git_log",
        id="0190aaaa-0000-7000-8000-000000000000",
        queue="dev",
        args=["https://example.org/x.git", 5],
        kwargs={"limit": 5},
        home="control",
        token=256,
        attempt=1,
        key="",
        issued_at_ms=NOW_MS - 1000,
        expires_at_ms=NOW_MS + 60_000,
    )
    return replace(good, **fields)


@given(json_values, json_values)
def test_two_values_share_their_bytes_only_if_they_are_the_same_json(one: Any, other: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (canonical_json(one) == canonical_json(other)) is same


@given(json_values)
def test_the_canonical_bytes_say_what_the_value_says(value: Any) -> None:
    assert json.loads(canonical_json(value)) == value
    assert canonical_json(json.loads(canonical_json(value))) == canonical_json(value)


def test_the_order_of_keys_does_not_change_the_bytes() -> None:
    assert canonical_json({"b": 1, "a": "ü"}) == canonical_json({"a": "ü", "b": 1})
    assert canonical_json({"b": 1, "a": "ü"}) == '{"a":"ü","b":1}'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object(), "\ud800", b"x"])
def test_what_is_no_json_has_no_canonical_bytes(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        canonical_json([value])


ALTERED = {
    "task": "dev.git_clone",
    "id": "0190aaaa-0000-7000-8000-000000000001",
    "queue": "dev.dc1",
    "args": ["https://example.org/x.git", 6],
    "kwargs": {"limit": "5"},
    "home": "dc1",
    "token": 257,
    "attempt": 2,
    "key": "k",
    "issued_at_ms": NOW_MS,
    "expires_at_ms": NOW_MS + 60_001,
    "v": 2,
}


def test_the_table_of_altered_fields_is_complete() -> None:
    assert set(ALTERED) == set(Envelope.__dataclass_fields__)


@pytest.mark.parametrize("name", ALTERED)
def test_each_altered_field_changes_what_was_signed(name: str) -> None:
    assert signed_bytes(envelope(**{name: ALTERED[name]})) != signed_bytes(envelope())


@given(st.lists(json_values, max_size=3), st.dictionaries(st.text("ab", max_size=2), json_values))
def test_other_arguments_are_other_signed_bytes(args: list[Any], kwargs: dict[str, Any]) -> None:
    given_call = (args, kwargs)
    usual = envelope()
    assume(canonical_json(given_call) != canonical_json((usual.args, usual.kwargs)))
    assert signed_bytes(envelope(args=args, kwargs=kwargs)) != signed_bytes(usual)


def test_an_envelope_travels_in_header_and_message_and_comes_back() -> None:
    sent = envelope()
    head = json.loads(json.dumps(header(sent, "c2ln")))
    assert read(sent.task, sent.id, sent.args, sent.kwargs, head) == (sent, "c2ln")
    assert read(sent.task, sent.id, tuple(sent.args), sent.kwargs, head) == (sent, "c2ln")


@pytest.mark.parametrize(
    "head", [None, {}, [], "x", 0, True, {"sig": None}, {"sig": 5}, {"v": 1, "token": 3}]
)
def test_a_message_without_a_signature_is_unsigned(head: Any) -> None:
    assert read("dev.x", "id", [], {}, head) is Refusal.UNSIGNED


@pytest.mark.parametrize("name", HEADER_FIELDS)
@pytest.mark.parametrize("wrong", [None, 1.5, True, [], {}, b"", "text", 5])
def test_a_header_field_of_the_wrong_type_is_malformed(name: str, wrong: Any) -> None:
    head = header(envelope(), "c2ln")
    assume_wrong = type(wrong) is not type(head[name]) or name == "v"
    result = read("dev.x", "id", [], {}, {**head, name: wrong})
    assert (result is Refusal.MALFORMED) is assume_wrong


@pytest.mark.parametrize("name", HEADER_FIELDS)
def test_a_missing_header_field_is_malformed(name: str) -> None:
    head = header(envelope(), "c2ln")
    del head[name]
    assert read("dev.x", "id", [], {}, head) is Refusal.MALFORMED


@pytest.mark.parametrize(
    ("args", "kwargs"), [(5, {}), (None, {}), ("ab", {}), ([], []), ([], None)]
)
def test_arguments_of_the_wrong_shape_are_malformed(args: Any, kwargs: Any) -> None:
    assert read("dev.x", "id", args, kwargs, header(envelope(), "c2ln")) is Refusal.MALFORMED


heads = json_values | st.fixed_dictionaries(
    {"sig": json_values}, optional=dict.fromkeys(HEADER_FIELDS, json_values)
)


@given(json_values, json_values, heads)
def test_no_header_and_no_body_makes_the_reader_raise(args: Any, kwargs: Any, head: Any) -> None:
    received = read("dev.x", "some id", args, kwargs, head)
    if isinstance(received, Refusal):
        assert received in (Refusal.UNSIGNED, Refusal.MALFORMED)
        return
    found, _ = received
    assert isinstance(signed_bytes(found), bytes)
    verdict = judge(
        found, signature_valid=False, homes=["control"], delivered_from="dev", now_ms=NOW_MS
    )
    assert verdict in (Refusal.UNKNOWN_HOME, Refusal.ALTERED)


JUDGED = [
    ({}, {}, None),
    ({"home": "dc9"}, {}, Refusal.UNKNOWN_HOME),
    ({"home": "dc9"}, {"signature_valid": False}, Refusal.UNKNOWN_HOME),
    ({}, {"signature_valid": False}, Refusal.ALTERED),
    ({"expires_at_ms": 0}, {"signature_valid": False}, Refusal.ALTERED),
    ({}, {"delivered_from": "udm"}, Refusal.WRONG_QUEUE),
    ({}, {"delivered_from": "dev.dc1"}, Refusal.WRONG_QUEUE),
    ({"queue": "dev.dc1"}, {"delivered_from": "dev"}, Refusal.WRONG_QUEUE),
    ({"issued_at_ms": NOW_MS + CLOCK_SKEW_MS}, {}, None),
    ({"issued_at_ms": NOW_MS + CLOCK_SKEW_MS + 1}, {}, Refusal.FROM_THE_FUTURE),
    ({"expires_at_ms": NOW_MS + 1}, {}, None),
    ({"expires_at_ms": NOW_MS}, {}, Refusal.EXPIRED),
    ({"expires_at_ms": NOW_MS - 1}, {}, Refusal.EXPIRED),
]


@pytest.mark.parametrize(("fields", "seen", "verdict"), JUDGED)
def test_a_worker_judges_by_home_signature_queue_and_time(
    fields: dict[str, Any], seen: dict[str, Any], verdict: Refusal | None
) -> None:
    usual: dict[str, Any] = {
        "signature_valid": True,
        "homes": ["control", "dc1"],
        "delivered_from": "dev",
        "now_ms": NOW_MS,
    }
    assert judge(envelope(**fields), **(usual | seen)) is verdict
