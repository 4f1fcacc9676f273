"""A small but complete run of the model, and proof that it would notice: every mutant dies."""

import subprocess
import sys

import pytest

from fleet.policy.effects import EffectClass
from fleet.policy.verdict import Kind
from tests.model import broker, liveness
from tests.model.__main__ import HEALED
from tests.model.control import ControlModel
from tests.model.mutants import MUTANTS, RESTLESS, Mutant, hunt, hunt_restless, hunt_two_masters
from tests.model.place import LANS, SITES, A, B, C
from tests.model.rules import Rules
from tests.model.search import TWO_TASKS, Concrete, Search, control

SECONDS = 100.0


def test_with_one_fault_control_and_two_tasks_break_nothing_step_by_step() -> None:
    found = Search(Rules(), Concrete(Rules(), 1)).run(SECONDS, traced=True)

    assert (found.broken, found.trace) == ("", [])
    assert found.complete
    assert found.states > 50_000


def test_with_two_faults_the_control_part_breaks_nothing_and_comes_to_rest() -> None:
    found, _scenes, states = control(Rules(), 2, SECONDS)

    assert found.broken == ""
    assert found.complete
    assert found.states > 20_000
    assert liveness.restless(Rules(), states) == ""


@pytest.mark.parametrize("effect", EffectClass)
def test_with_two_faults_a_task_breaks_nothing_and_is_finished(effect: EffectClass) -> None:
    _found, scenes, _states = control(Rules(), 2, SECONDS)
    search = Search(Rules(), scenes, (effect,))

    found = search.run(SECONDS)

    assert found.broken == ""
    assert found.complete
    assert liveness.unfinished(Rules(), search.tasks.number.things, HEALED) == ""


def test_the_quotient_allows_whatever_the_control_part_allows() -> None:
    """Every task state that is reached step by step is reached in the scenes, too."""
    concrete = Search(Rules(), Concrete(Rules(), 1), TWO_TASKS)
    _found, scenes, _states = control(Rules(), 1, SECONDS)
    quotient = Search(Rules(), scenes, TWO_TASKS)

    concrete.run(SECONDS)
    quotient.run(SECONDS)

    reached = set(concrete.tasks.number.things)
    assert reached
    assert reached <= set(quotient.tasks.number.things)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name.replace(" ", "-"))
def test_a_wrong_rule_is_noticed_by_its_invariant(mutant: Mutant) -> None:
    found = hunt(mutant, SECONDS)

    assert found.broken.startswith(mutant.breaks)
    assert found.trace[-1].endswith(found.broken)


@pytest.mark.parametrize("name", RESTLESS)
def test_a_fleet_that_never_comes_to_rest_is_noticed(name: str) -> None:
    assert hunt_restless(name).startswith("L2")


def test_no_plan_of_settings_that_the_rules_pass_has_two_masters() -> None:
    plans, states, bad, way = broker.passed()

    assert (bad, way) == (None, [])
    assert plans > 20
    assert states > 10_000


@pytest.mark.parametrize("missing", ["max_lag_s", "quorum"])
def test_without_one_of_the_rules_of_settings_there_are_two_masters(missing: str) -> None:
    assert hunt_two_masters(without=missing)[-1].endswith("two masters take writes")


def test_the_directed_links_are_all_there_and_a_calm_fleet_is_up() -> None:
    model = ControlModel(Rules())

    kinds = {model.verdict(0b111111, 0b11, C, lan) for lan in LANS}
    assert kinds == {Kind.UP}
    assert len({SITES[x] for x in (A, B, C)}) == 3


def test_the_command_reports_and_refuses_what_makes_no_sense() -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tests.model", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)

    good, bad = run("--faults", "0"), run("--faults", "9")

    assert good.returncode == 0, good.stdout + good.stderr
    assert "distinct states" in good.stdout
    assert bad.returncode == 2
    assert "not between 0 and 4" in bad.stderr
