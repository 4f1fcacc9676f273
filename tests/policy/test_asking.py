"""For whom a LAN asks: as long as it is down, and while it comes back."""

from fleet.policy.asking import Asking, answered, pause_s, subject_of
from fleet.policy.timing import TIMING

HELD = Asking(subject="dc1", generation=3, granted_s=100.0)


def test_who_is_down_is_asked_for() -> None:
    assert subject_of(Asking(), ["dc1"], 0.0) == "dc1"
    assert subject_of(Asking(), [], 0.0) == ""


def test_a_site_that_is_back_is_asked_for_as_long_as_the_lease_may_live() -> None:
    assert subject_of(HELD, [], 100.0 + TIMING.lease_ttl_s - 0.1) == "dc1"
    assert subject_of(HELD, [], 100.0 + TIMING.lease_ttl_s) == ""


def test_a_refusal_takes_nothing_away_and_is_asked_again_soon() -> None:
    assert answered(HELD, "dc1", granted=False, generation=3, now_s=110.0) == HELD
    assert pause_s(granted=False) == TIMING.beat_s < pause_s(granted=True)


def test_a_grant_is_remembered_and_another_subject_begins_anew() -> None:
    renewed = answered(HELD, "dc1", granted=True, generation=3, now_s=110.0)
    assert (renewed.generation, renewed.granted_s) == (3, 110.0)
    assert answered(HELD, "dc2", granted=False, generation=0, now_s=110.0) == Asking()
