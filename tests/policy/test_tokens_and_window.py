"""Fencing tokens, and how much of a queue the broker holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.policy.tokens import home_of, make_token
from fleet.policy.window import MIN_WINDOW, room, window

counters = st.integers(1, 1 << 54)
homes = st.integers(0, 255)


@given(counters, counters, homes, homes)
def test_a_later_attempt_has_a_larger_token_whichever_homes_count(
    one: int, other: int, home: int, another: int
) -> None:
    if one < other:
        assert make_token(one, home) < make_token(other, another)
    assert (make_token(one, home) == make_token(other, another)) is (
        (one, home) == (other, another)
    )


@given(counters, homes)
def test_a_token_tells_its_home_and_fits_into_a_bigint(counter: int, home: int) -> None:
    token = make_token(counter, home)
    assert home_of(token) == home
    assert 0 < token < 1 << 63


@pytest.mark.parametrize(("counter", "home"), [(0, 0), (-1, 0), (1, -1), (1, 256)])
def test_a_token_out_of_range_is_not_made(counter: int, home: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        make_token(counter, home)


@pytest.mark.parametrize(
    ("slots", "size"), [(0, 200), (1, 200), (100, 200), (101, 202), (1000, 2000)]
)
def test_the_window_is_the_larger_of_two_per_slot_and_the_minimum(slots: int, size: int) -> None:
    assert MIN_WINDOW == 200
    assert window(slots) == size


@given(st.integers(0, 10_000), st.integers(0, 1000), st.integers(0, 10_000))
def test_publishing_what_there_is_room_for_never_overfills(
    depth: int, slots: int, waiting: int
) -> None:
    published = min(waiting, room(depth, slots))
    assert published >= 0
    assert depth + published <= max(depth, window(slots))
    if depth < window(slots) and waiting:
        assert published > 0
