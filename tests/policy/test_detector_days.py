"""Days of lossy links and short outages: who is suspected, and what is set in motion by it.

A short version runs with the other tests; TURTLE_SIM_DAYS=30 runs as many days as it says.
The parameters are assumptions about home lines, but for the number of outages of ten minutes
and more: that is the median of the BISmark study of 140 home routers.
"""

import os
from collections.abc import Iterator
from itertools import pairwise
from random import Random
from statistics import quantiles

import pytest

from fleet.policy.confirmation import Memory, advance, may_return
from fleet.policy.detector import History, heard, judge
from fleet.policy.matrix import Heard, Row, Seen
from fleet.policy.timing import TIMING, Timing
from fleet.policy.verdict import Kind, classify
from tests.policy.matrices import CONTROL, SITES, row

DAYS = float(os.environ.get("TURTLE_SIM_DAYS", "0"))
#: Days of lossy links if nothing is said, and of outages, which are fewer.
LOSS_DAYS = DAYS or 0.2
OUTAGE_DAYS = DAYS or 10.0
LINKS = 6
DAY_S = 86_400
SUBJECT = "dc1"
OBSERVERS = ("dc2", "dc3")
LAST_WORD = row(SUBJECT, OBSERVERS)
#: The detector as it is found in textbooks: what happens without pause and least deviation.
EAGER = Timing(suspect_phi=8.0, acceptable_pause_s=0.0, least_deviation_s=0.1)


def lossy_line(rng: Random, beats: int) -> Iterator[float]:
    """Gilbert-Elliott: 0.1 % loss in good times, 25 % in bad ones of 8 s on average that make
    up 0.4 % of the time; a beat in 2000 is late by 0.8 s on average."""
    bad = False
    for number in range(beats):
        bad = rng.random() < (1 - 1 / 8 if bad else 0.004 / 8)
        if rng.random() >= (0.25 if bad else 0.001):
            yield number + (rng.expovariate(1 / 0.8) if rng.random() < 0.0005 else 0.0)


def bursty_line(rng: Random, beats: int) -> Iterator[float]:
    """One percent lost: nine tenths of it in bursts of up to five beats, the rest singly."""
    number = 0
    while number < beats:
        for _ in range(2 + round(rng.expovariate(1 / 330))):
            if rng.random() >= 0.001:
                yield float(number)
            number += 1
        number += rng.randint(1, 5)


def suspicions(arrivals: Iterator[float], timing: Timing) -> list[float]:
    """When the detector suspects a line that never was away."""
    history, found = History(), []
    for at_s in arrivals:
        # Within the pause nobody is suspected; at the arrival the silence is longest.
        waited_s = at_s - (at_s if history.last_s is None else history.last_s)
        if waited_s > max(timing.acceptable_pause_s, timing.beat_s):
            found += [at_s] if judge(history, at_s, timing).suspected else []
        history = heard(history, at_s, timing)
        if history.suspected:
            history = judge(history, at_s, timing).history
    return found


@pytest.mark.timeout(7200)
def test_one_percent_of_loss_in_bursts_of_five_seconds_makes_nobody_suspect() -> None:
    beats = round(LOSS_DAYS * DAY_S)
    assert [suspicions(bursty_line(Random(seed), beats), TIMING) for seed in range(LINKS)] == (
        [[]] * LINKS
    )


@pytest.mark.timeout(7200)
def test_bad_times_make_one_link_suspect_once_a_month_and_never_two_at_once() -> None:
    """Seven beats lost in a row at 25 % loss do happen; a site is suspected over two links."""
    beats = round(LOSS_DAYS * DAY_S)
    found = [suspicions(lossy_line(Random(seed), beats), TIMING) for seed in range(LINKS)]
    moments = sorted(at_s for link in found for at_s in link)
    assert len(moments) <= LOSS_DAYS * LINKS / 30
    assert all(later - at_s > TIMING.confirm_s for at_s, later in pairwise(moments))


def test_the_same_line_makes_an_eager_detector_suspect_many_times_a_day() -> None:
    beats = round(0.1 * DAY_S)
    assert len(suspicions(lossy_line(Random(0), beats), EAGER)) > 5


class TwoObservers:
    """Two sites that watch the third; one tick is one beat."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.histories = dict.fromkeys(OBSERVERS, History())
        self.answered_s = 0.0
        self.memory = Memory()
        self.kind = Kind.UNKNOWN
        self.pass_s(60, answers=True)

    def pass_s(self, seconds: int, *, answers: bool) -> list[Kind]:
        return [self._tick(answers) for _ in range(seconds)]

    def skip_s(self, seconds: float) -> None:
        """Steady beats that nobody needs to look at."""
        self.now_s += seconds
        self.histories = {o: heard(h, self.now_s) for o, h in self.histories.items()}
        self.answered_s = self.now_s

    def _tick(self, answers: bool) -> Kind:
        self.now_s += TIMING.beat_s
        if answers:
            self.histories = {o: heard(h, self.now_s) for o, h in self.histories.items()}
            self.answered_s = self.now_s
        matrix = {site: Seen(self._row(site), 0.0) for site in OBSERVERS}
        matrix[SUBJECT] = Seen(LAST_WORD, self.now_s - self.answered_s)
        found = classify(matrix, me="dc2", subject=SUBJECT, sites=SITES, control=CONTROL)
        self.memory, verdict = advance(self.memory, found, self.now_s)
        self.kind = verdict.kind
        return self.kind

    def _row(self, site: str) -> Row:
        judged = judge(self.histories[site], self.now_s)
        self.histories[site] = judged.history
        words = {other: Heard(heard=True) for other in OBSERVERS if other != site}
        words[SUBJECT] = Heard(heard=not judged.suspected, silent_s=judged.silent_s)
        return Row(site=site, seq=1, epoch=1, heard=words, sentinel={})


def outages(rng: Random, days: float, tail: float) -> Iterator[tuple[float, float]]:
    """(seconds until it begins, its length in s): 0.06 a day are longer than ten minutes, and
    0.06 (600/d)^tail are longer than d, down to two seconds."""
    rate = 0.06 * 300**tail / DAY_S
    at_s = 0.0
    while (wait_s := rng.expovariate(rate)) + at_s < days * DAY_S:
        at_s += wait_s
        yield wait_s, 2.0 * rng.random() ** (-1 / tail)


@pytest.mark.parametrize("tail", [0.5, 0.8, 1.0])
@pytest.mark.timeout(7200)
def test_an_outage_shorter_than_the_confirmation_never_sets_anything_in_motion(
    tail: float,
) -> None:
    fleet, seen = TwoObservers(), 0
    for wait_s, length_s in outages(Random(1), OUTAGE_DAYS, tail):
        fleet.skip_s(wait_s)
        found = fleet.pass_s(min(round(length_s), 300), answers=False)
        found += fleet.pass_s(10, answers=True)
        declared = Kind.DOWN in found
        assert not declared or length_s >= TIMING.confirm_s
        assert declared or length_s < TIMING.longest_confirm_s + 10
        assert found[-1] is not Kind.DOWN
        seen += 1
    assert seen >= OUTAGE_DAYS / 2


def test_suspicion_and_declaration_come_in_time() -> None:
    """Counted in ticks: the detector is asked once a second here."""
    suspected_s, declared_s = [], []
    for seed in range(20):
        fleet = TwoObservers()
        fleet.skip_s(Random(seed).random())
        found = fleet.pass_s(60, answers=False)
        suspected_s.append(found.index(Kind.SUSPECT) + 1)
        declared_s.append(found.index(Kind.DOWN) + 1)
    assert quantiles(suspected_s, n=100)[98] <= 9
    assert quantiles(declared_s, n=20)[18] <= 39


def activations(fleet: TwoObservers, gone_s: int, there_s: int, for_s: int) -> int:
    """The standby starts when the site is down, and sleeps again after catch up and ramp."""
    returns_after_s = TIMING.catch_up_steady_s + 3 * TIMING.ramp_step_s
    started, active, answered_s = 0, False, 0.0
    for second in range(for_s):
        kind = fleet.pass_s(1, answers=second % (gone_s + there_s) >= gone_s)[0]
        answered_s = answered_s + 1 if kind is Kind.UP else 0.0
        if kind is Kind.DOWN and not active:
            started, active = started + 1, True
        if answered_s >= returns_after_s and may_return(fleet.memory, fleet.now_s)[0]:
            active = False
    return started


def test_a_site_that_flaps_each_minute_for_an_hour_starts_the_standby_twice_at_most() -> None:
    assert activations(TwoObservers(), 60, 60, 3600) in (1, 2)


@pytest.mark.parametrize(("there_s", "hours"), [(240, 2), (400, 1)])
def test_with_time_to_recover_in_between_it_starts_three_times_and_then_stays(
    there_s: int, hours: int
) -> None:
    assert activations(TwoObservers(), 60, there_s, hours * 3600) <= 3


def test_pauses_shorter_than_the_confirmation_start_nothing_however_often() -> None:
    assert activations(TwoObservers(), 30, 30, 3600) == 0
