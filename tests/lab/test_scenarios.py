"""Scenarios as data: the whole matrix is there, each case is whole, the nemesis is repeatable."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.lab.errors import LabError
from deploy.lab.faults import Faults
from deploy.lab.scenario import catalogue, matrix, nemesis
from deploy.lab.scenario.script import Do, Op, Scenario
from deploy.lab.scenario.timeline import is_alone

LANS = ("dc1", "dc2")
EVERY = catalogue.every().values()


def left_broken(one: Scenario) -> set[str]:
    """The faults that are still on when the script has been played."""
    on: set[str] = set()
    for act in one.acts:
        if act.do is Do.BREAK and act.op and act.op.verb != "restart":
            on.add(act.op.fault_id)
        if act.do is Do.MEND and act.op:
            on.remove(act.op.fault_id)
        if act.do is Do.MEND_ALL:
            on.clear()
    return on


def test_the_matrix_has_every_cell_in_more_than_one_order_of_healing() -> None:
    cells: dict[str, int] = {}
    for one in matrix.scenarios():
        cell = one.name.rpartition(".")[0]
        cells[cell] = cells.get(cell, 0) + 1
    assert len(cells) == 8 * 3 * 2 * 2
    assert min(cells.values()) >= 2
    assert sum(cells.values()) >= 200


def test_names_are_unique_and_nothing_stays_broken() -> None:
    assert len(EVERY) == len(list(matrix.scenarios())) + 22
    assert {one.name: left_broken(one) for one in EVERY if left_broken(one)} == {}


def test_a_case_of_the_matrix_is_played_in_under_90_seconds_without_its_preparation() -> None:
    longest = max(matrix.scenarios(), key=lambda one: sum(a.seconds(1.0) for a in one.acts))
    assert sum(act.seconds(1.0) for act in longest.acts) <= 70, longest.name


def test_every_fault_is_one_that_the_lab_can_make() -> None:
    verbs = {op.verb for one in EVERY for op in one.breaks()}
    verbs |= {op.verb for seed in range(50) for op in nemesis.script(seed, 600.0).breaks()}
    assert {verb for verb in verbs if not callable(getattr(Faults, verb, None))} == set()


def test_every_sentence_can_be_read() -> None:
    one = catalogue.every()["dc1-alone.cut.master-dc1.loaded.late-forward"]
    assert one.sentence() == (
        "dc1 leads, loaded: dc1 and dc2 are cut apart; dc1 and dc3 are cut apart; 60 s pass; "
        "mended: dc1 and dc2 are cut apart; 2 s pass; mended: dc1 and dc3 are cut apart."
    )
    assert all("{" not in one.sentence() for one in EVERY)


@pytest.mark.parametrize(
    ("name", "master", "standby"),
    [
        ("dc1-dc2-link.cut.master-dc1.loaded.late", "dc1", False),
        ("dc1-alone.cut.master-dc1.loaded.late-forward", "dc2", True),
        ("dc1-alone.cut.master-dc2.loaded.late-forward", "dc2", True),
        ("dc2-alone.crash.master-dc2.loaded.late", "dc1", True),
        ("dc3-alone.cut.master-dc1.loaded.late-forward", "dc1", False),
        ("no-link.cut.master-dc1.loaded.late", "dc2", False),
        ("dc1-alone.cut.master-dc1.loaded.early", "dc1", False),
        ("all-links.cut.master-dc1.loaded.late-forward", None, None),
    ],
)
def test_the_table_of_partitions_is_what_is_expected(
    name: str, master: str | None, standby: bool | None
) -> None:
    expected = catalogue.every()[name].expected
    assert (expected.master, expected.standby) == (master, standby)


def test_a_time_scale_leaves_sentinels_clockwork_alone() -> None:
    late = catalogue.every()["dc1-alone.cut.master-dc1.loaded.late-forward"]
    hold = next(act for act in late.acts if act.do is Do.WAIT)
    assert (hold.seconds(1.0), hold.seconds(0.25)) == (60.0, 24.0)


@given(st.integers(0, 2**32), st.floats(5, 3600))
@settings(max_examples=50, deadline=None)
def test_a_nemesis_is_repeatable_mends_all_and_breaks_two_things_at_most(
    seed: int, for_s: float
) -> None:
    one = nemesis.script(seed, for_s)
    assert one == nemesis.script(seed, for_s)
    assert left_broken(one) == set()
    assert sum(act.seconds(1.0) for act in one.acts) == pytest.approx(for_s, abs=0.5)
    on = 0
    for act in one.acts:
        on += (act.do is Do.BREAK and act.op is not None and act.op.verb != "restart") - (
            act.do is Do.MEND
        )
        assert on <= nemesis.MOST_AT_ONCE


def test_two_seeds_give_two_scripts() -> None:
    assert nemesis.script(1, 600.0).acts != nemesis.script(2, 600.0).acts


@pytest.mark.parametrize(
    ("on", "alone"),
    [
        ([], False),
        ([Op("cut_site", ("dc3",))], True),
        ([Op("cut_site", ("dc1",))], False),
        ([Op("cut_site", ("dc1",)), Op("cut_link", ("dc3", "dc2"))], True),
        ([Op("cut_oneway", ("dc1", "dc3")), Op("cut_oneway", ("dc3", "dc2"))], True),
        ([Op("kill", ("dc1", "all")), Op("stop", ("dc2", "all"))], True),
        ([Op("kill", ("dc1", "worker")), Op("cut_link", ("dc2", "dc3"))], False),
        ([Op("cut_overlay", ("dc1", "dc3")), Op("cut_overlay", ("dc2", "dc3"))], False),
    ],
)
def test_a_site_is_alone_when_no_answer_can_reach_it(on: list[Op], alone: bool) -> None:
    assert is_alone("dc3", LANS, on) is alone


def test_a_name_may_be_shortened_and_a_wrong_one_names_the_near_ones() -> None:
    assert len(catalogue.chosen("dc1-dc2-link.cut", seed=1, for_s=1)) == 8
    assert len(catalogue.chosen("all", seed=1, for_s=1)) == len(EVERY)
    assert [one.name for one in catalogue.chosen("smoke", seed=1, for_s=1)] == [*catalogue.SMOKE]
    with pytest.raises(LabError, match="did you mean dc1-alone"):
        catalogue.chosen("dc1-lone", seed=1, for_s=1)
