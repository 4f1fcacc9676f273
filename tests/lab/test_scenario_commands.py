"""The two programs from the command line: exit status, JSON, and words for mistakes."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from deploy.cli.lab_scenario import scenario
from deploy.lab.history.__main__ import main
from tests.lab.history_lines import accepted, effect, start, write


def call(command: Any, *arguments: str) -> Result:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, arguments)


def test_a_green_history_ends_with_0_and_its_figures(tmp_path: Path) -> None:
    write(tmp_path, accepted=[accepted("k")], effects=[start("k"), effect("k")])
    found = call(main, str(tmp_path), "--json")
    assert found.exit_code == 0
    assert json.loads(found.stdout)["green"] is True
    assert json.loads(found.stdout)["figures"]["accepted"] == 1


def test_a_red_history_ends_with_1_and_names_the_task(tmp_path: Path) -> None:
    write(tmp_path, accepted=[accepted(f"k{n}") for n in range(30)])
    found = call(main, str(tmp_path))
    assert found.exit_code == 1
    assert "RED lost" in found.stdout
    assert "k0: run run-k0" in found.stdout
    assert "and 10 more" in found.stdout


def test_a_history_without_producers_ends_with_2(tmp_path: Path) -> None:
    found = call(main, str(tmp_path))
    assert found.exit_code == 2
    assert "no accepted tasks below" in found.stderr


def test_scenarios_are_listed_without_a_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURTLE_LAB_DIR", str(tmp_path / "none"))
    found = call(scenario, "list", "--json")
    assert found.exit_code == 0
    assert len(json.loads(found.stdout)) >= 200
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("dc1-lone",), "did you mean dc1-alone"),
        (("nemesis", "--for", "soon"), "use 90s, 10m or 2h"),
        (("nemesis", "--for", "0m"), "use 90s, 10m or 2h"),
        (("smoke", "--time-scale", "2"), "less than or equal to 1"),
    ],
)
def test_a_mistake_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.setenv("TURTLE_LAB_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("COLUMNS", "200")
    found = call(scenario, *arguments)
    assert found.exit_code in (1, 2)
    assert words in found.output
    assert not (tmp_path / "none").exists()
