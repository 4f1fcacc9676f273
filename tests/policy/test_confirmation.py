"""Suspicions that last, sites that come and go, and how long each is held back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.policy.confirmation import (
    Memory,
    advance,
    confirm_after_s,
    held_s,
    may_return,
    penalise,
    penalty_at,
)
from fleet.policy.timing import TIMING
from fleet.policy.verdict import Kind, Verdict

UP, SUSPECT, UNKNOWN, DOWN = Kind.UP, Kind.SUSPECT, Kind.UNKNOWN, Kind.DOWN
#: A flap as in the target: 60 s gone, 60 s there.
FLAP_S = 60


class Observer:
    """Looks once a second, and keeps what it found."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.now_s = 0.0
        self.found: list[Kind] = []
        self.reason = ""

    def sees(self, kind: Kind, for_s: float) -> "Observer":
        """The same raw verdict for so many seconds, from now on."""
        for _ in range(round(for_s)):
            verdict = Verdict("dc1", kind, "as seen")
            self.memory, found = advance(self.memory, verdict, self.now_s)
            self.found.append(found.kind)
            self.reason = found.reason
            self.now_s += 1.0
        return self

    def declarations(self) -> int:
        """How often "down" began."""
        before = [UP, *self.found]
        return sum(b is DOWN and a is not DOWN for a, b in zip(before, self.found, strict=False))

    @property
    def penalty(self) -> float:
        return penalty_at(self.memory, self.now_s)


def test_a_suspicion_is_down_after_thirty_seconds_and_not_before() -> None:
    observer = Observer().sees(UP, 5).sees(SUSPECT, 30)
    assert observer.found[-1] is SUSPECT
    assert observer.reason == "as seen; for 29 s, down after 30 s"
    assert observer.sees(SUSPECT, 1).found[-1] is DOWN
    assert observer.reason == (
        "as seen; for 30 s: crashed or cut off, from outside nobody can tell"
    )


@pytest.mark.parametrize("kind", sorted(set(Kind) - {SUSPECT, DOWN}))
def test_any_other_verdict_is_passed_on_and_starts_the_count_anew(kind: Kind) -> None:
    observer = Observer().sees(SUSPECT, 29).sees(kind, 1)
    assert observer.found[-1] is kind
    assert observer.sees(SUSPECT, 30).found[-1] is SUSPECT
    assert observer.sees(SUSPECT, 1).found[-1] is DOWN


def test_an_outage_counts_once_however_long_it_is() -> None:
    observer = Observer().sees(SUSPECT, 300)
    assert observer.penalty == pytest.approx(1000, rel=0.25)
    assert observer.declarations() == 1


def test_down_ends_only_when_the_site_is_reached_again() -> None:
    observer = Observer().sees(SUSPECT, 40)
    assert observer.sees(UNKNOWN, 5).found[-1] is UNKNOWN
    assert observer.sees(SUSPECT, 1).found[-1] is DOWN
    before = observer.penalty
    assert before < 1000
    observer.sees(UP, 1).sees(SUSPECT, 1)
    assert observer.found[-1] is SUSPECT
    assert observer.penalty <= before


def test_a_suspicion_that_clears_counts_a_quarter_and_once() -> None:
    observer = Observer().sees(SUSPECT, 10).sees(UNKNOWN, 3).sees(SUSPECT, 10).sees(UP, 20)
    assert observer.penalty == pytest.approx(250, rel=0.05)
    assert not observer.memory.suppressed


def test_the_penalty_halves_in_a_quarter_of_an_hour() -> None:
    memory = penalise(Memory(), 1000.0, now_s=50.0)
    assert penalty_at(memory, 50.0 + 900.0) == pytest.approx(500)
    assert penalty_at(memory, 50.0 + 1800.0) == pytest.approx(250)
    assert penalty_at(memory, 0.0) == 1000.0


def test_the_first_failover_is_never_held_back() -> None:
    """However often the links of a site were suspected before."""
    observer = Observer()
    for _ in range(40):
        observer.sees(SUSPECT, 10).sees(UP, 10)
    assert observer.penalty > TIMING.penalty_suppress
    assert confirm_after_s(observer.memory, observer.now_s) == TIMING.confirm_s
    assert observer.sees(SUSPECT, 31).found[-1] is DOWN


@pytest.mark.parametrize(
    ("penalty", "expected_s"),
    [(0, 30), (1999, 30), (2000, 60), (3999, 60), (4000, 120), (6000, 120), (12000, 120)],
)
def test_a_site_that_was_down_lately_is_confirmed_later(penalty: float, expected_s: float) -> None:
    memory = Memory(penalty=penalty, penalty_at_s=100.0, last_down_s=100.0)
    assert confirm_after_s(memory, 100.0) == expected_s


def test_a_failover_of_more_than_an_hour_ago_holds_nothing_back() -> None:
    memory = Memory(penalty=12000.0, penalty_at_s=3701.0, last_down_s=100.0)
    assert confirm_after_s(memory, 3700.0) > TIMING.confirm_s
    assert confirm_after_s(memory, 3701.0) == TIMING.confirm_s


def test_work_is_given_back_below_the_lower_limit_only() -> None:
    memory = penalise(Memory(), TIMING.penalty_suppress, now_s=0.0)
    wait_s = 900.0 * 1.415
    allowed, reason = may_return(memory, wait_s - 10.0)
    assert not allowed
    assert reason.startswith("it came and went too often: penalty 75")
    assert may_return(memory, wait_s + 10.0)[0]
    below, _ = advance(memory, Verdict("dc1", UP, ""), wait_s + 10.0)
    assert not below.suppressed


def test_below_the_upper_limit_nothing_is_held_back() -> None:
    memory = penalise(Memory(), TIMING.penalty_suppress - 1, now_s=0.0)
    assert may_return(memory, 0.0) == (True, "penalty 1999")


def test_once_released_a_site_is_held_back_only_above_the_upper_limit() -> None:
    memory = penalise(Memory(), TIMING.penalty_suppress, now_s=0.0)
    memory, _ = advance(memory, Verdict("dc1", UP, ""), 2000.0)
    memory = penalise(memory, TIMING.penalty_suppress / 2, now_s=2000.0)
    assert penalty_at(memory, 2000.0) > TIMING.penalty_reuse
    assert may_return(memory, 2000.0)[0]


def test_a_site_that_is_down_takes_nothing_back() -> None:
    observer = Observer().sees(SUSPECT, 40)
    assert may_return(observer.memory, observer.now_s) == (False, "it is still down")


@given(st.lists(st.floats(0, 50_000), min_size=1, max_size=20))
def test_nothing_holds_a_site_back_for_more_than_an_hour(points: list[float]) -> None:
    memory = Memory()
    for p in points:
        memory = penalise(memory, p, now_s=10.0)
    assert may_return(memory, 10.0 + TIMING.longest_suppression_s + 1.0)[0]


def test_how_long_a_verdict_holds() -> None:
    observer = Observer().sees(UP, 3).sees(Kind.SELF_ISOLATED, 31)
    assert held_s(observer.memory, Kind.SELF_ISOLATED, observer.now_s) == 31.0
    assert held_s(observer.memory, UP, observer.now_s) == 0.0
    assert held_s(Memory(), UP, 5.0) == 0.0


KINDS = st.lists(st.tuples(st.sampled_from([UP, SUSPECT, UNKNOWN]), st.integers(1, 90)), max_size=8)


@given(KINDS)
def test_down_is_said_of_suspects_only_and_after_thirty_seconds_in_a_row(
    steps: list[tuple[Kind, int]],
) -> None:
    observer = Observer()
    raw: list[Kind] = []
    for kind, seconds in steps:
        observer.sees(kind, seconds)
        raw += [kind] * seconds
    reached = 0
    for at, (seen, found) in enumerate(zip(raw, observer.found, strict=True)):
        if found is DOWN:
            assert seen is SUSPECT
            since = raw[reached : at + 1]
            assert "".join(k[0] for k in since).find("s" * 31) >= 0
        else:
            assert found is seen
        reached = at + 1 if seen is UP else reached


@pytest.mark.parametrize("gone_s", [50, 53, 60])
def test_a_flapping_site_is_declared_down_three_times_at_most_in_an_hour(gone_s: int) -> None:
    """Twice before the penalty is known to be high, and once that makes it so."""
    observer = Observer()
    for _ in range(3600 // (2 * FLAP_S)):
        observer.sees(SUSPECT, gone_s).sees(UP, 2 * FLAP_S - gone_s)
    assert 1 <= observer.declarations() <= 3
    assert not may_return(observer.memory, observer.now_s)[0]
