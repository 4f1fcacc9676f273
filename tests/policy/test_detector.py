"""The detector: silence makes suspect, five beats in a row make alive again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.policy.detector import LARGEST_PHI, History, Judgement, heard, judge, phi
from fleet.policy.timing import TIMING, Timing

GAPS = st.lists(st.floats(0.0, 9.0), max_size=40).map(tuple)


def beating(count: int, every_s: float = 1.0, history: History | None = None) -> History:
    """Beats from the last one on, each judged; from moment 0 for a new history."""
    history = history or History()
    at_s = 0.0 if history.last_s is None else history.last_s + every_s
    for number in range(count):
        history = heard(history, at_s + number * every_s)
        history = judge(history, at_s + number * every_s).history
    return history


def silent_for(history: History, silent_s: float) -> Judgement:
    assert history.last_s is not None
    return judge(history, history.last_s + silent_s)


def test_a_steady_site_is_suspected_after_about_seven_seconds_of_silence() -> None:
    steady = beating(100)
    assert not silent_for(steady, 7.0).suspected
    late = silent_for(steady, 7.3)
    assert late.suspected
    assert late.phi >= TIMING.suspect_phi
    assert late.reason == "silent for 7.3 s, phi 13.4"


def test_it_stays_suspected_without_beats_and_without_new_judgement() -> None:
    history = silent_for(beating(100), 8.0).history
    assert history.suspected
    assert silent_for(history, 0.0).suspected


def test_five_beats_in_a_row_make_it_alive_again() -> None:
    history = silent_for(beating(100), 60.0).history
    back = heard(history, 200.0)
    for at_s in (201.0, 202.0, 203.0):
        back = heard(judge(back, at_s - 1).history, at_s)
        assert judge(back, at_s).suspected
    assert "4 of 5 beats" in judge(back, 203.5).reason
    alive = judge(heard(back, 204.0), 204.0)
    assert not alive.suspected
    assert alive.reason == "heard again, 5 beats in a row"


def test_a_late_beat_starts_the_row_anew() -> None:
    history = silent_for(beating(100), 60.0).history
    for at_s in (200.0, 201.0, 202.0, 203.0, 209.0, 210.0, 211.0, 212.0):
        history = heard(history, at_s)
        assert judge(history, at_s).suspected
    assert not judge(heard(history, 213.0), 213.0).suspected


def test_enough_beats_that_ended_before_the_judgement_do_not_count() -> None:
    history = silent_for(beating(100), 60.0).history
    for number in range(9):
        history = heard(history, 200.0 + number)
    assert judge(history, 214.0).suspected


def test_a_site_is_not_up_before_it_was_heard_five_times() -> None:
    assert beating(4).suspected
    assert not beating(5).suspected


def test_never_heard_is_suspected_and_the_silence_counts_from_the_first_look() -> None:
    first = judge(History(), 50.0)
    later = judge(first.history, 80.0)
    assert (first.suspected, first.silent_s) == (True, 0.0)
    assert (later.suspected, later.silent_s, later.phi) == (True, 30.0, LARGEST_PHI)
    assert later.reason == "nothing heard yet, for 30 s"


def test_outages_do_not_make_it_deaf() -> None:
    history = beating(100)
    for _ in range(20):
        assert history.last_s is not None
        history = beating(10, history=heard(history, history.last_s + 3600.0))
    assert silent_for(history, 7.3).suspected


def test_a_hiccup_soon_after_the_start_does_not_make_it_deaf() -> None:
    history = beating(10, history=beating(1, every_s=9.0, history=beating(10)))
    assert max(history.intervals_s) == 9.0
    assert silent_for(history, 7.4).suspected


def test_a_link_with_jitter_gets_more_time() -> None:
    history = History()
    at_s = 0.0
    for number in range(300):
        at_s += 0.2 if number % 2 else 3.0
        history = judge(heard(history, at_s), at_s).history
    assert not silent_for(history, 9.0).suspected
    assert silent_for(history, 16.0).suspected


def test_beats_of_the_past_are_ignored() -> None:
    history = beating(20)
    assert heard(history, 3.0) == history


def test_no_more_than_the_window_is_remembered() -> None:
    short = Timing(window=10)
    history = History()
    for number in range(50):
        history = heard(history, float(number), short)
    assert history.intervals_s == (1.0,) * 10


def test_a_scaled_timing_scales_the_detection() -> None:
    fast = TIMING.scaled(0.1)
    history = History()
    for number in range(100):
        history = judge(heard(history, number / 10, fast), number / 10, fast).history
    assert not judge(history, 9.9 + 0.70, fast).suspected
    assert judge(history, 9.9 + 0.73, fast).suspected


@pytest.mark.parametrize(("deviations", "chance"), [(0.0, 0.5), (1.645, 0.05), (2.326, 0.01)])
def test_phi_is_the_chance_that_a_beat_still_comes(deviations: float, chance: float) -> None:
    mean_s = TIMING.beat_s + TIMING.acceptable_pause_s
    level = phi((), mean_s + deviations * TIMING.least_deviation_s)
    assert 10**-level == pytest.approx(chance, rel=0.05)


@given(GAPS, st.floats(0, 1e7), st.floats(0, 1e7))
def test_phi_only_grows_with_silence(
    gaps_s: tuple[float, ...], silent_s: float, more_s: float
) -> None:
    less, more = phi(gaps_s, silent_s), phi(gaps_s, silent_s + more_s)
    assert 0.0 <= less <= more <= LARGEST_PHI


@given(GAPS)
def test_nobody_is_suspected_within_the_acceptable_pause(gaps_s: tuple[float, ...]) -> None:
    history = History(intervals_s=gaps_s, last_s=100.0)
    assert not judge(history, 100.0 + TIMING.acceptable_pause_s).suspected


@given(st.lists(st.tuples(st.floats(0.0, 30.0), st.booleans()), max_size=60))
def test_alive_means_five_beats_and_suspected_means_silence_or_too_few_beats(
    steps: list[tuple[float, bool]],
) -> None:
    history, now_s, beats = History(), 0.0, 0
    for wait_s, beat in steps:
        now_s += wait_s
        if beat:
            history, beats = heard(history, now_s), beats + 1
        found = judge(history, now_s)
        if not found.suspected:
            assert beats >= TIMING.alive_beats
            assert found.phi < TIMING.suspect_phi
        if found.phi >= TIMING.suspect_phi:
            assert found.suspected
        history = found.history
