"""When a site may be taken away on purpose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.policy.maintenance import LONGEST_S, SHORTEST_S, left_s, may_begin
from fleet.policy.verdict import Kind

HOUR_S = 3600.0


def kinds(dc1: Kind = Kind.UP, dc2: Kind = Kind.UP, dc3: Kind = Kind.UP) -> dict[str, Kind]:
    return {"dc1": dc1, "dc2": dc2, "dc3": dc3}


def test_one_of_three_sound_sites_may_go() -> None:
    decision = may_begin("dc1", 2 * HOUR_S, kinds(), set())
    assert decision.allowed
    assert decision.reason == "the other sites carry on without dc1"


@pytest.mark.parametrize(
    ("for_s", "allowed"),
    [
        (SHORTEST_S, True),
        (SHORTEST_S - 0.1, False),
        (LONGEST_S, True),
        (LONGEST_S + 0.1, False),
        (0.0, False),
        (-HOUR_S, False),
        (float("nan"), False),
        (float("inf"), False),
    ],
)
def test_a_maintenance_lasts_from_a_minute_to_a_day(for_s: float, allowed: bool) -> None:
    decision = may_begin("dc1", for_s, kinds(), set())
    assert decision.allowed is allowed
    assert allowed or "from 1 minute to 24 hours" in decision.reason


WITH_ANOTHER = {Kind.UP: True, Kind.DEGRADED: True, Kind.WORKERS_ONLY: True}


@pytest.mark.parametrize("other", Kind)
def test_it_may_go_only_if_the_others_keep_brokers_and_sentinels(other: Kind) -> None:
    decision = may_begin("dc1", HOUR_S, kinds(dc2=other), set())
    assert decision.allowed is WITH_ANOTHER.get(other, False)
    assert decision.allowed or decision.reason.startswith(f"dc2 is {other}; ")


@pytest.mark.parametrize("own", Kind)
def test_whatever_is_wrong_with_a_site_it_may_be_repaired(own: Kind) -> None:
    assert may_begin("dc1", HOUR_S, kinds(dc1=own), set()).allowed


def test_a_cut_link_is_repaired_at_either_of_its_ends_and_keeps_the_third_site() -> None:
    cut = kinds(dc1=Kind.LINK_DOWN, dc2=Kind.LINK_DOWN)
    assert may_begin("dc1", HOUR_S, cut, set()).allowed
    assert may_begin("dc2", HOUR_S, cut, set()).allowed
    assert not may_begin("dc3", HOUR_S, cut, set()).allowed


def test_one_site_at_a_time_and_no_extension() -> None:
    other = may_begin("dc1", HOUR_S, kinds(), {"dc2"})
    same = may_begin("dc1", HOUR_S, kinds(dc1=Kind.MAINTENANCE), {"dc1"})
    assert (other.allowed, same.allowed) == (False, False)
    assert other.reason == "dc2 is in maintenance; only one site at a time may be"
    assert "cannot be extended" in same.reason


def test_a_name_that_no_site_has_is_refused() -> None:
    decision = may_begin("dc9", HOUR_S, kinds(), set())
    assert not decision.allowed
    assert decision.reason == "there is no site 'dc9'; the sites are dc1, dc2, dc3"


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_the_end_is_hard(until_s: float, now_s: float) -> None:
    assert (left_s(until_s, now_s) > 0) == (now_s < until_s)
