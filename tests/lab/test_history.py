"""Each way to break a promise is shown by a history, and each is found."""

from pathlib import Path
from typing import Any

import pytest

from deploy.lab.history.check import Verdict, check_folder
from deploy.lab.history.violations import Rule
from fleet.policy.errors import ConfigurationError
from tests.lab.history_lines import accepted, ack, effect, start, write


def checked(folder: Path, **files: list[dict[str, Any]]) -> Verdict:
    files.setdefault("accepted", [accepted("k")])
    files.setdefault("effects", [start("k"), effect("k")])
    return check_folder(write(folder, **files), standby="dc3", ttl_s=30.0)


def broken(verdict: Verdict) -> set[Rule]:
    return {one.rule for one in verdict.violations}


def grant(at_s: float, generation: int = 1) -> dict[str, Any]:
    return {"monotonic_s": at_s, "site": "dc3", "generation": generation, "ttl_s": 30.0}


def at_standby(at_s: float) -> list[dict[str, Any]]:
    place: dict[str, Any] = {"site": "dc3", "box": "standby-1", "monotonic_s": at_s}
    return [start("k", **place), effect("k", **place)]


def test_a_task_that_takes_effect_once_is_green(tmp_path: Path) -> None:
    verdict = checked(tmp_path)
    assert verdict.green
    assert verdict.figures["first_execution_s"]["max"] == 1.0


# Lost


@pytest.mark.parametrize("kind", ["A", "B", "C"])
def test_an_accepted_task_without_an_effect_is_lost(tmp_path: Path, kind: str) -> None:
    verdict = checked(tmp_path, accepted=[accepted("k", kind)], effects=[start("k", kind)])
    assert broken(verdict) == {Rule.LOST}
    assert "started, without effect" in verdict.violations[0].shown_by


def test_an_accepted_task_that_never_started_is_lost(tmp_path: Path) -> None:
    verdict = checked(tmp_path, effects=[])
    assert broken(verdict) == {Rule.LOST}
    assert "never started" in verdict.violations[0].shown_by


def test_class_d_without_effect_waits_for_a_person(tmp_path: Path) -> None:
    verdict = checked(tmp_path, accepted=[accepted("k", "D")], effects=[start("k", "D")])
    assert verdict.green
    assert verdict.figures["class_d_without_effect"] == 1


# Twice


def test_a_key_of_class_b_takes_effect_twice_in_one_sink(tmp_path: Path) -> None:
    lines = [start("k"), effect("k"), start("k", token=2), effect("k", token=2)]
    assert broken(checked(tmp_path, effects=lines)) == {Rule.EFFECT_TWICE}


@pytest.mark.parametrize("kind", ["A", "C"])
def test_a_later_attempt_of_class_a_or_c_may_take_effect_again(tmp_path: Path, kind: str) -> None:
    lines = [start("k", kind), effect("k", kind), start("k", kind, 2), effect("k", kind, 2)]
    verdict = checked(tmp_path, accepted=[accepted("k", kind)], effects=lines)
    assert verdict.green
    assert verdict.figures["repeated_starts"] == 1


def test_one_attempt_of_class_a_takes_effect_twice(tmp_path: Path) -> None:
    lines = [start("k", "A"), effect("k", "A"), effect("k", "A")]
    verdict = checked(tmp_path, accepted=[accepted("k", "A")], effects=lines)
    assert broken(verdict) == {Rule.EFFECT_TWICE}


def test_class_d_starts_twice_at_two_sites(tmp_path: Path) -> None:
    lines = [start("k", "D"), effect("k", "D"), start("k", "D", 2, site="dc2", box="mini-2")]
    verdict = checked(tmp_path, accepted=[accepted("k", "D")], effects=lines)
    assert broken(verdict) == {Rule.STARTED_TWICE}


def test_class_d_takes_effect_twice(tmp_path: Path) -> None:
    lines = [start("k", "D"), effect("k", "D"), effect("k", "D", site="dc2", box="mini-2")]
    verdict = checked(tmp_path, accepted=[accepted("k", "D")], effects=lines)
    assert broken(verdict) == {Rule.EFFECT_TWICE}


# Order of tokens


@pytest.mark.parametrize("again", [1, 2])
def test_a_box_starts_a_run_again_without_a_newer_token(tmp_path: Path, again: int) -> None:
    lines = [start("k", "A", 2), effect("k", "A", 2), start("k", "A", again)]
    verdict = checked(tmp_path, accepted=[accepted("k", "A")], effects=lines)
    assert broken(verdict) == {Rule.TOKEN_ORDER}


def test_a_fenced_sink_takes_a_stale_effect(tmp_path: Path) -> None:
    lines = [start("k", "C", 1), start("k", "C", 2), effect("k", "C", 2), effect("k", "C", 1)]
    verdict = checked(tmp_path, accepted=[accepted("k", "C")], effects=lines)
    assert broken(verdict) == {Rule.TOKEN_ORDER}


def test_a_run_without_a_token_is_found(tmp_path: Path) -> None:
    verdict = checked(tmp_path, effects=[start("k", token=0), effect("k", token=0)])
    assert broken(verdict) == {Rule.TOKEN_ORDER}


# Acceptance


def test_one_key_becomes_two_runs(tmp_path: Path) -> None:
    verdict = checked(tmp_path, accepted=[accepted("k"), accepted("k", id="another")])
    assert broken(verdict) == {Rule.ACCEPTED_TWICE}


def test_the_same_answer_to_a_repeated_request_is_fine(tmp_path: Path) -> None:
    assert checked(tmp_path, accepted=[accepted("k"), accepted("k")]).green


def test_a_key_runs_under_an_id_that_nobody_was_given(tmp_path: Path) -> None:
    lines = [start("k", run_id="ghost"), effect("k", run_id="ghost")]
    assert broken(checked(tmp_path, effects=lines)) == {Rule.UNKNOWN_RUN}


def test_a_task_whose_producer_got_no_answer_is_counted(tmp_path: Path) -> None:
    lines = [start("k"), effect("k"), start("unheard"), effect("unheard")]
    verdict = checked(tmp_path, effects=lines)
    assert verdict.green
    assert verdict.figures["keys_without_answer"] == 1


# The lease


@pytest.mark.parametrize(
    ("starts_at_s", "green"), [(99.9, False), (100.0, True), (140.2, True), (140.4, False)]
)
def test_the_standby_starts_only_inside_a_lease(
    tmp_path: Path, starts_at_s: float, green: bool
) -> None:
    """Granted at 100 s and renewed at 110 s for 30 s; 1 % of drift is the clocks'."""
    lease = [grant(100.0), grant(110.0)]
    verdict = checked(tmp_path, effects=at_standby(starts_at_s), lease=lease)
    assert broken(verdict) == (set() if green else {Rule.NO_LEASE})


def test_the_standby_starts_without_any_lease(tmp_path: Path) -> None:
    verdict = checked(tmp_path, effects=at_standby(100.0))
    assert broken(verdict) == {Rule.NO_LEASE}
    assert "no lease had been given" in verdict.violations[0].shown_by


def test_a_start_between_two_leases_is_found(tmp_path: Path) -> None:
    lease = [grant(100.0), grant(200.0, 2)]
    verdict = checked(tmp_path, effects=at_standby(150.0), lease=lease)
    assert broken(verdict) == {Rule.NO_LEASE}


def test_no_log_of_leases_excuses_a_site_that_was_alone_for_long(tmp_path: Path) -> None:
    alone = [
        {"monotonic_s": 100.0, "site": "dc3", "event": "alone"},
        {"monotonic_s": 150.0, "site": "dc3", "event": "joined"},
    ]
    lease = [grant(at) for at in (90.0, 110.0, 130.0, 150.0)]
    in_time = checked(tmp_path / "a", effects=at_standby(130.0), lease=lease, alone=alone)
    too_late = checked(tmp_path / "b", effects=at_standby(131.0), lease=lease, alone=alone)
    joined = checked(tmp_path / "c", effects=at_standby(151.0), lease=lease, alone=alone)
    assert (in_time.green, broken(too_late), joined.green) == (True, {Rule.NO_LEASE}, True)


# Masters


def test_a_failover_leaves_one_master_at_a_time(tmp_path: Path) -> None:
    acks = [ack("dc1", 1.0), ack("dc1", 5.0), ack("dc2", 9.0), ack("dc2", 20.0)]
    verdict = checked(tmp_path, acks=acks)
    assert verdict.green
    assert [reign["site"] for reign in verdict.figures["reigns"]] == ["dc1", "dc2"]


def test_a_site_may_lead_again(tmp_path: Path) -> None:
    acks = [ack("dc1", 1.0), ack("dc2", 9.0), ack("dc1", 30.0, reign="dc1-2")]
    assert checked(tmp_path, acks=acks).green


def test_two_masters_accept_writes_at_once(tmp_path: Path) -> None:
    """The old one takes writes that no replica has: plain writes, destroyed later."""
    acks = [ack("dc1", 1.0), ack("dc1", 11.1, replicas=0), ack("dc2", 7.0), ack("dc2", 20.0)]
    verdict = checked(tmp_path, acks=acks)
    assert broken(verdict) == {Rule.TWO_MASTERS}
    assert verdict.figures["two_masters_plain_s"] == pytest.approx(4.1, abs=0.01)
    assert verdict.figures["two_masters_wait_s"] == 0


def test_two_masters_acknowledge_replicated_writes_at_once(tmp_path: Path) -> None:
    acks = [ack("dc1", 1.0), ack("dc1", 9.0), ack("dc2", 7.0), ack("dc2", 20.0)]
    verdict = checked(tmp_path, acks=acks)
    assert len(verdict.violations) == 2
    assert verdict.figures["two_masters_wait_s"] > 0


def test_a_late_answer_of_the_old_master_proves_no_overlap(tmp_path: Path) -> None:
    """It was sent before the new one began: the write may have been taken then."""
    acks = [ack("dc1", 1.0), ack("dc1", 9.0, took_s=4.0), ack("dc2", 7.0), ack("dc2", 20.0)]
    assert checked(tmp_path, acks=acks).green


# The files


def test_nothing_to_check_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no accepted tasks"):
        check_folder(write(tmp_path, effects=[start("k")]), standby="dc3")


def test_a_torn_line_is_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    write(tmp_path, accepted=[accepted("k")], effects=[start("k"), effect("k")])
    with (tmp_path / "dc1" / "effects.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"key": "k", "event": "eff\n')
    verdict = check_folder(tmp_path, standby="dc3")
    assert verdict.green
    assert verdict.figures["unreadable_lines"] == 1
