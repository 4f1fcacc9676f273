"""Lenient reading never raises, and never makes a value up."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import values

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("56.3", 56.3),
        (" 7 ", 7.0),
        ("1e3", 1000.0),
        (5, 5.0),
        ("", None),
        ("n/a", None),
        ("nan", None),
        ("1_000", None),
        ("٣", None),
        (True, None),
        (None, None),
        (float("inf"), None),
        (10**400, None),
    ],
)
def test_a_number_is_read_from_a_number_or_its_text(sent: object, read: float | None) -> None:
    assert values.number(sent) == read


def test_a_large_counter_keeps_every_digit() -> None:
    assert values.count("9007199254740993") == 9_007_199_254_740_993
    assert values.count(18_446_744_073_709_551_000) == 18_446_744_073_709_551_000


@pytest.mark.parametrize(
    ("sent", "read"), [("72 C", 72.0), ("48.5°C", 48.5), (53.0, 53.0), ("72 F", None), ("-", None)]
)
def test_a_temperature_is_read_with_or_without_its_unit(sent: object, read: float | None) -> None:
    assert values.degrees_c(sent) == read


@pytest.mark.parametrize("sent", ["-1", 101, "120.5"])
def test_a_percentage_outside_its_range_is_not_believed(sent: object) -> None:
    assert values.percent(sent) is None


def test_a_share_of_an_unknown_or_smaller_whole_is_unknown() -> None:
    assert values.percent_of(1, 4) == 25.0
    assert values.percent_of(5, 4) is None
    assert values.percent_of(0, 0) is None
    assert values.percent_of(None, 4) is None


@given(JSON)
def test_whatever_a_device_sends_is_read_without_an_error(sent: object) -> None:
    for read in (values.number, values.percent, values.latency_ms, values.degrees_c):
        found = read(sent)
        assert found is None or math.isfinite(found)
    whole = values.count(sent)
    assert whole is None or 0 <= whole < 1 << 64
    assert values.flag(sent) in (None, True, False)
    assert isinstance(values.table(sent), dict)
    assert all(isinstance(row, dict) for row in values.tables(sent))


@given(st.text(st.characters() | st.sampled_from("\0\ud800")))
def test_a_text_can_be_stored_and_sent_anywhere(sent: str) -> None:
    found = values.text(sent)
    if found is not None:
        assert found.encode("utf-8")
        assert "\0" not in found
        assert 0 < len(found) <= values.MAX_TEXT_CHARS


@given(st.integers(min_value=0, max_value=2**63))
def test_a_counter_reads_the_same_as_number_and_as_text(sent: int) -> None:
    assert values.count(sent) == values.count(str(sent)) == sent


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe\xff", b"[" * 100_000, b"<html>"])
def test_what_is_no_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        values.parse_json(body)


@given(JSON)
def test_what_is_json_is_parsed(sent: object) -> None:
    again = values.parse_json(json.dumps(sent).encode())
    assert json.dumps(again) == json.dumps(sent)
