"""The commands that the lab prints can be typed as they stand."""

import sys
from pathlib import Path

import pytest

from deploy.cli.lab import as_typed

BIN = Path(sys.executable).parent


def test_the_name_alone_is_enough_where_the_path_leads_to_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(BIN))
    assert as_typed(tmp_path) == "turtle"


def test_elsewhere_the_way_from_the_working_folder_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert as_typed(BIN.parent.parent) == f"{BIN.parent.name}/bin/turtle"
    assert as_typed(tmp_path) == str(BIN / "turtle")


def test_another_program_of_that_name_is_not_taken_for_this_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "turtle"
    other.write_text("#!/bin/sh\n", encoding="utf-8")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert as_typed(tmp_path / "x") == str(BIN / "turtle")
