"""Broken promises that the simulation has found, each with the shortest way that shows it.

What is not mended yet is expected to fail, strictly: who mends it is told so by a test that
passes, and takes the mark away.
"""

import pytest

from tests.simulation.checks import ViolationError
from tests.simulation.faults import Fault, plan_of
from tests.simulation.world import World


def run(seed: int, *plan: Fault, hours: float) -> World:
    world = World(seed, list(plan))
    world.run(hours)
    return world


def test_two_sites_that_return_together_are_both_back_within_ten_minutes() -> None:
    run(101, *plan_of("all", 101, 6.0), hours=2.1)


def test_the_standby_goes_on_until_the_lost_site_is_back_at_full_share() -> None:
    lost = Fault("cut-site", 120.0, 120.0, "dc1")
    assert not any(run(s, lost, hours=0.25).figures.lapses_while_ramping for s in range(10))


def test_a_short_outage_is_no_failover_for_a_control_plane_that_was_cut_off() -> None:
    run(
        1,
        Fault("cut-site", 120.0, 180.0, "dc1"),
        Fault("cut-site", 200.0, 200.0, "dc3"),
        Fault("cut-site", 394.0, 18.0, "dc1"),
        hours=0.2,
    )


@pytest.mark.xfail(
    strict=True,
    raises=ViolationError,
    reason="a resume leaves the name of the boot as it was, and the clock may lag",
)
def test_a_standby_that_was_frozen_without_knowing_starts_nothing_after_its_lease() -> None:
    run(
        1,
        Fault("cut-site", 120.0, 300.0, "dc1"),
        Fault("cut-site", 185.0, 100.0, "dc2"),
        Fault("freeze", 189.0, 24.0, "standby"),
        hours=0.1,
    )


def test_a_second_loss_on_the_same_day_gets_the_standby_as_the_first_did() -> None:
    nine_hours_s = 9 * 3600.0
    world = run(
        1,
        Fault("cut-site", 120.0, 200.0, "dc1"),
        Fault("cut-site", 120.0 + nine_hours_s, 200.0, "dc1"),
        hours=9.5,
    )
    assert world.figures.activations == 2
