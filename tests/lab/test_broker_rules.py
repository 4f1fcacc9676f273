"""Unsafe broker settings are refused, with the numbers that would be safe."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.policy import broker_rules
from fleet.policy.broker_rules import BrokerPlan
from fleet.policy.errors import ConfigurationError

SAFE = BrokerPlan(
    max_lag_s=2,
    down_after_s=5,
    quorum=2,
    sentinel_sites=("dc1", "dc2", "dc3"),
    replica_priorities=(10, 20, 0),
)
CALM = replace(SAFE, max_lag_s=3, down_after_s=8)


@pytest.mark.parametrize("plan", [SAFE, CALM, replace(SAFE, down_after_s=30)])
def test_safe_plans_pass(plan: BrokerPlan) -> None:
    broker_rules.check(plan)
    assert broker_rules.broken_rules(plan) == ()


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (
            replace(SAFE, max_lag_s=3),
            "max_lag_s to at most 2, or down_after_ms to at least 6000",
        ),
        (replace(SAFE, max_lag_s=10), "down_after_ms to at least 13000"),
        (replace(SAFE, quorum=1), "quorum 1: use 2"),
        (replace(SAFE, quorum=3), "quorum 3: use 2"),
        (replace(SAFE, sentinel_sites=("dc1", "dc2")), "use exactly 3"),
        (replace(SAFE, sentinel_sites=("dc1", "dc2", "dc2")), "each at a site of its own"),
        (replace(SAFE, sentinel_sites=("dc1", "dc2", "dc3", "dc4")), "use exactly 3"),
        (replace(SAFE, replica_priorities=(10, 0, 0)), "fewer than two sites may lead"),
    ],
)
def test_each_unsafe_plan_is_refused_with_what_to_write(plan: BrokerPlan, words: str) -> None:
    with pytest.raises(ConfigurationError, match="unsafe broker settings") as refused:
        broker_rules.check(plan)
    assert words in str(refused.value)


def test_every_broken_rule_is_named_at_once() -> None:
    bad = replace(SAFE, max_lag_s=10, quorum=1, sentinel_sites=())
    assert len(broker_rules.broken_rules(bad)) == 3


@given(lag=st.integers(1, 100), down=st.integers(1, 100))
def test_a_passing_plan_stops_the_old_master_before_the_new_one_starts(lag: int, down: int) -> None:
    broken = broker_rules.broken_rules(replace(SAFE, max_lag_s=lag, down_after_s=down))
    assert (not broken) == (lag + 3 <= down)


@pytest.mark.parametrize("seen", [0, 1, 3])
def test_a_wrong_number_of_other_sentinels_is_explained(seen: int) -> None:
    told = broker_rules.wrong_other_sentinels("dc2", seen)
    assert told is not None
    assert f"dc2 knows {seen} others instead of 2" in told


def test_two_other_sentinels_are_right() -> None:
    assert broker_rules.wrong_other_sentinels("dc2", 2) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"down_after_s": 4.0}, "max_lag_s 2"),
        ({"quorum": 1}, "quorum 1"),
        ({"others_seen": 3}, "the Sentinel of dc2 knows 3 others"),
    ],
)
def test_a_running_sentinel_is_held_to_the_same_rules(
    changes: dict[str, float], words: str | None
) -> None:
    usual = {"max_lag_s": 2.0, "down_after_s": 5.0, "quorum": 2, "others_seen": 2}
    told = broker_rules.unsafe("dc2", **(usual | changes))  # type: ignore[arg-type]
    assert (told == ()) if words is None else (len(told) == 1 and words in told[0])
