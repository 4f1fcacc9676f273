"""Alive or not, and why an accepted run does not run yet."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.policy import waiting
from fleet.policy.dispatch import Supply
from fleet.policy.liveness import (
    DEAD_AFTER_S,
    HEARTBEAT_S,
    SUSPECT_AFTER_S,
    Liveness,
    verdict,
)

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
WORKER = Supply(site="dc1", capabilities=frozenset({"dev"}), slots=2)


@pytest.mark.parametrize(
    ("age_s", "liveness"),
    [
        (None, Liveness.UNKNOWN),
        (0.0, Liveness.ALIVE),
        (SUSPECT_AFTER_S - 0.01, Liveness.ALIVE),
        (SUSPECT_AFTER_S, Liveness.SUSPECT),
        (DEAD_AFTER_S - 0.01, Liveness.SUSPECT),
        (DEAD_AFTER_S, Liveness.DEAD),
        (1e9, Liveness.DEAD),
    ],
)
def test_silence_makes_suspect_and_then_dead(age_s: float | None, liveness: Liveness) -> None:
    assert verdict(age_s).liveness is liveness
    assert verdict(age_s).reason


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_more_silence_never_makes_more_alive(age_s: float, more_s: float) -> None:
    order = [Liveness.ALIVE, Liveness.SUSPECT, Liveness.DEAD]
    here, later = verdict(age_s).liveness, verdict(age_s + more_s).liveness
    assert order.index(here) <= order.index(later)


def test_a_missed_heartbeat_or_two_is_no_reason_to_suspect() -> None:
    assert verdict(2 * HEARTBEAT_S).liveness is Liveness.ALIVE


CAUSES: list[tuple[dict[str, Any], str]] = [
    ({}, "in the ledger, about to be published"),
    ({"broker_away": "no master"}, "waits for the broker: no master"),
    ({"home": "dc2", "broker_away": "no master"}, "its home dc2 has not published it yet"),
    ({"published": True, "broker_away": "no master"}, "in the broker"),
    ({"supply": []}, "no live worker has the capability dev"),
    ({"supply": [], "published": True}, "no live worker has the capability dev"),
    ({"queue": "dev.dc2"}, "no live worker at dc2 has the capability dev"),
    ({"queue": "udm"}, "no live worker has the capability udm"),
    ({"run_after": NOW + timedelta(seconds=90)}, "not before 2030-01-01 12:01:30 UTC, in 90 s"),
    ({"run_after": NOW + timedelta(seconds=90), "supply": []}, "not before"),
    (
        {"run_after": NOW + timedelta(seconds=5), "last_reason": "NetworkError"},
        "in 5 s (NetworkError)",
    ),
    ({"run_after": NOW}, "in the ledger, about to be published"),
]


@pytest.mark.parametrize(("circumstances", "said"), CAUSES)
def test_the_first_cause_that_counts_is_said(circumstances: dict[str, Any], said: str) -> None:
    usual: dict[str, Any] = {
        "now": NOW,
        "run_after": None,
        "published": False,
        "broker_away": "",
        "home": "",
        "queue": "dev",
        "supply": [WORKER],
    }
    assert said in waiting.reason(**(usual | circumstances))
