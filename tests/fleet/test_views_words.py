"""Durations and ages as they are written, and JSON as it is shown."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.views import words
from fleet.views.facts.shown_json import HIDDEN, shown_json


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.084, "84 ms"),
        (0.9996, "1.0 s"),
        (3.21, "3.2 s"),
        (9.96, "10 s"),
        (41, "41 s"),
        (59.7, "1 min"),
        (400, "6 min 40 s"),
        (11_520, "3 h 12 min"),
        (187_200, "2 d 4 h"),
        (-5, "0 ms"),
        (timedelta(minutes=2), "2 min"),
    ],
)
def test_durations_use_their_largest_units(seconds: float | timedelta, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.9, "0 s"), (59.9, "59 s"), (60, "1 min"), (400.8, "6 min 40 s"), (-3, "0 s")],
)
def test_ages_are_whole_seconds(seconds: float, text: str) -> None:
    assert words.age(seconds) == text


@given(st.integers(min_value=0, max_value=10**9))
def test_an_age_says_at_most_one_small_unit_less_than_it_is(seconds: int) -> None:
    sizes = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}
    parts = words.age(seconds).split()
    said = sum(int(n) * sizes[unit] for n, unit in zip(parts[::2], parts[1::2], strict=True))
    assert said <= seconds < said + max(1, sizes[parts[1]] // 24)


@pytest.mark.parametrize(
    ("parts", "text"),
    [([], ""), (["A"], "A"), (["A", "B"], "A and B"), (list("ABC"), "A, B and C")],
)
def test_lists_read_as_sentences(parts: list[str], text: str) -> None:
    assert words.listed(parts) == text


def test_values_of_secret_sounding_keys_are_hidden_at_any_depth() -> None:
    shown = shown_json({"env": [{"API_TOKEN": "s3cr3t", "CI": "1"}], "db_password": "hunter2"})
    assert "s3cr3t" not in shown
    assert "hunter2" not in shown
    assert shown.count(HIDDEN) == 2
    assert '"CI": "1"' in shown


@pytest.mark.parametrize(
    ("effect", "count", "said"),
    [
        ("A", 3, "at most 3 attempts"),
        ("C", 1, "at most 1 attempt"),
        ("D", 10, "one attempt, then a person decides"),
    ],
)
def test_attempts_are_promised_as_the_machine_makes_them(
    effect: str, count: int, said: str
) -> None:
    assert words.attempts_allowed(effect, count) == said
