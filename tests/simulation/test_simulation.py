"""The simulation itself: repeatable, calm left out without a trace, and its promises kept."""

import json
import os
import subprocess
import sys

import pytest

from tests.simulation.run import simulate


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "tests.simulation", *arguments),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_the_same_seed_tells_the_same_story() -> None:
    first, again = simulate(5, 1.0), simulate(5, 1.0)
    assert first.sha256 == again.sha256
    assert first.events == again.events
    assert simulate(6, 1.0).sha256 != first.sha256
    for hash_seed in ("1", "2"):
        fresh = command("--hours", "1", "--seed", "5", "--json", PYTHONHASHSEED=hash_seed)
        assert json.loads(fresh.stdout)["sha256"] == first.sha256


@pytest.mark.parametrize(("faults", "seed"), [("all", 3), ("single", 1)])
def test_leaving_out_calm_changes_nothing(faults: str, seed: int) -> None:
    """The traces hold every verdict with its numbers, and at each fault what the detectors
    remember, to the last bit."""
    leapt, in_full = simulate(seed, 1.4, faults), simulate(seed, 1.4, faults, leaps=False)
    assert leapt.left_out_hours > 0.3
    assert in_full.left_out_hours == 0
    assert leapt.sha256 == in_full.sha256


@pytest.mark.parametrize("seed", range(1, 5))
def test_no_promise_is_broken_whatever_fails(seed: int) -> None:
    result = simulate(seed, 2.0)
    assert result.violation == ""
    assert result.figures.faults_done >= 5


def test_the_standby_works_only_under_its_lease_however_that_is_lost() -> None:
    result = simulate(1, 3.0, "lease-loss")
    assert result.violation == ""
    assert result.figures.activations >= 4
    assert result.figures.starts > 100
    assert result.figures.starts_after_expiry == 0
    assert result.figures.quiet_checks >= 4


def test_a_flapping_site_wakes_the_standby_twice_at_most() -> None:
    result = simulate(1, 1.2, "flap", leaps=False)
    assert result.violation == ""
    assert 1 <= result.figures.activations <= 2


def test_lost_packets_alone_make_nobody_suspect() -> None:
    figures = simulate(1, 0.7, "loss-only").figures
    assert figures.faults_done > 30
    assert figures.false_verdicts == figures.suspicions == figures.activations == 0


def test_a_lost_site_is_found_out_in_time_and_back_in_time() -> None:
    figures = simulate(2, 2.0, "single").figures
    assert len(figures.back_to_normal_s) >= 2
    assert max(figures.suspect_after_s) < 12.0
    assert max(figures.down_after_s) < 45.0
    assert max(figures.back_to_normal_s) < 480.0


def test_a_broken_promise_is_told_with_the_way_to_see_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fleet.policy.confirmation.confirm_after_s", lambda *_: 0.0)
    found = simulate(1, 2.0)
    assert found.violation.startswith("seed 1, at ")
    assert "python -m tests.simulation --seed 1 --hours 2" in found.again
    assert found.last[-1].endswith("dc1 is down: two sites agree")
    assert simulate(1, 2.0).violation == found.violation


def test_unknown_faults_are_refused() -> None:
    found = command("--faults", "rain")
    assert found.returncode == 2
    assert "no such faults: rain" in found.stderr
