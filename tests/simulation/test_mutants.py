"""Mistakes made on purpose: a simulation that misses one could miss a real one."""

import pytest

from tests.simulation.mutants import MUTANTS, Mutant, hunt


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_the_mistake_is_found(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    found = hunt(mutant, monkeypatch)
    assert mutant.breaks in found
    assert found.startswith("seed ")
