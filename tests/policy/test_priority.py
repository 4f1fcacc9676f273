"""Named priorities of the ledger."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.policy.errors import BadArgumentsError
from fleet.policy.priority import Priority, parse_priority, priority_name


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (None, 0),
        ("normal", 0),
        ("HIGH", 50),
        ("Incident", 100),
        ("batch", -50),
        (-100, -100),
        (100, 100),
        ("7", 7),
    ],
)
def test_a_priority_is_a_name_in_any_case_or_a_number(value: Any, number: int) -> None:
    assert parse_priority(value) == number


@pytest.mark.parametrize(
    "value", [101, -101, "urgent", "", "1.5", [], {}, float("nan"), float("inf"), object()]
)
def test_any_other_priority_is_refused_with_the_names(value: Any) -> None:
    with pytest.raises(BadArgumentsError, match=r"batch, normal, high, incident.*-100 to 100"):
        parse_priority(value)


@given(st.none() | st.integers() | st.text() | st.floats() | st.lists(st.integers()))
def test_any_value_gives_a_number_in_range_or_is_refused(value: Any) -> None:
    try:
        number = parse_priority(value)
    except BadArgumentsError:
        return
    assert -100 <= number <= 100


@given(st.integers(-100, 100))
def test_every_priority_has_a_text_that_is_read_back(number: int) -> None:
    assert parse_priority(priority_name(number)) == number


def test_the_most_urgent_name_has_the_largest_number() -> None:
    assert sorted(Priority) == [Priority.BATCH, Priority.NORMAL, Priority.HIGH, Priority.INCIDENT]
