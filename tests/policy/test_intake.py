"""How much a worker takes, with and without a word from the control plane."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.policy.intake import Intake, limit

WORD = Intake(
    share=0.25, until_s=100.0, boot_id="run-1", generation=3, reason="a quarter: dc1 ramps up"
)


def taken(word: Intake | None, *, standby: bool, now_s: float = 50.0, slots: int = 10) -> int:
    return limit(word, slots=slots, now_s=now_s, boot_id="run-1", standby=standby)[0]


@pytest.mark.parametrize(
    ("word", "lan", "standby"),
    [
        (None, 10, 0),
        (WORD, 3, 3),
        (replace(WORD, share=0.0), 0, 0),
        (replace(WORD, share=1.0), 10, 10),
        (replace(WORD, share=0.01), 1, 1),
        (replace(WORD, until_s=50.0), 10, 0),
        (replace(WORD, until_s=float("nan")), 10, 0),
        (replace(WORD, boot_id="run-0"), 10, 0),
        (replace(WORD, until_s=None), 3, 0),
        (replace(WORD, generation=0), 3, 0),
    ],
    ids=[
        "no-word",
        "a-quarter",
        "nothing",
        "all",
        "a-little-is-one",
        "ran-out",
        "no-number",
        "from-before-the-start",
        "without-an-end",
        "without-a-lease",
    ],
)
def test_a_lan_works_without_a_word_and_a_standby_does_not(
    word: Intake | None, lan: int, standby: int
) -> None:
    assert taken(word, standby=False) == lan
    assert taken(word, standby=True) == standby


@pytest.mark.parametrize("standby", [False, True])
def test_the_reason_is_the_words_own_or_says_why_the_word_is_void(standby: bool) -> None:
    def reason(now_s: float) -> str:
        return limit(WORD, slots=4, now_s=now_s, boot_id="run-1", standby=standby)[1]

    assert reason(99.0) == "a quarter: dc1 ramps up"
    assert "ran out 5 s ago" in reason(105.0)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_share_that_means_nothing_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Intake(share=share)


@given(st.floats(0, 1), st.integers(0, 64))
def test_never_more_than_the_slots_and_never_nothing_of_something(share: float, slots: int) -> None:
    got = taken(replace(WORD, share=share), standby=True, slots=slots)

    assert 0 <= got <= slots
    assert (got == 0) == (share == 0 or slots == 0)
