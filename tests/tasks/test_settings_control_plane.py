"""A wrong `[control_plane]` table is told like every other mistake in the configuration."""

import re
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.policy.errors import ConfigurationError
from turtle_site.config import ControlPlaneSettings, load_control_plane

GOOD = """site = "dc3"
[control_plane]
secret_key_file = "/data/django.key"
database_url = "sqlite:////data/ledger.sqlite3"
"""
Load = Callable[[str, str], ControlPlaneSettings]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads the good file with one text replaced."""
    config = tmp_path / "turtle.toml"
    monkeypatch.setenv("TURTLE_CONFIG", str(config))

    def loader(old: str, new: str) -> ControlPlaneSettings:
        assert old in GOOD
        config.write_text(GOOD.replace(old, new), encoding="utf-8")
        return load_control_plane()

    return loader


def test_a_good_table_is_read_with_its_defaults(load: Load) -> None:
    found = load("dc3", "dc1")
    assert (found.secret_key_file, found.debug) == (Path("/data/django.key"), False)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("secret_key_file", "secret_key_flie", r"\.secret_key_flie .*mean secret_key_file\?"),
        (
            "secret_key_file",
            "secret_key_flie",
            r"control_plane\.secret_key_file \(or TURTLE_CONTROL_PLANE__SECRET_KEY_FILE\): "
            r".*required; for example: secret_key_file = '",
        ),
        ("[control_plane]", "[control_plain]", r"control_plain: .*did you mean control_plane"),
        ("[control_plane]", "[control_plane", r"cannot be read as TOML: .*line 2"),
        (
            "[control_plane]",
            "control_plane = 5\n[broker]",
            r"control_plane: must be a table; for example: \[control_plane\] with secret_key_file",
        ),
        (
            "[control_plane]",
            "[control_plane]\nallowed_hosts = [5]",
            r"allowed_hosts\.0 \(or TURTLE_CONTROL_PLANE__ALLOWED_HOSTS, as JSON\): ",
        ),
        (
            "[control_plane]",
            "[control_plane]\nmachines = {}",
            r"machines\.app \(or TURTLE_CONTROL_PLANE__MACHINES__APP\): .*app = 'turtle-st",
        ),
        (
            "[control_plane]",
            "[control_plane]\nmover = 5",
            r"mover .*: .*for example: \[control_plane\.mover\] with password_file = ",
        ),
    ],
)
def test_a_mistake_is_one_line_with_file_key_and_remedy(
    load: Load, tmp_path: Path, old: str, new: str, line: str
) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        load(old, new)
    first, *lines = str(wrong.value).splitlines()
    assert first == f"configuration of {tmp_path}/turtle.toml:"
    assert any(re.search(line, text) for text in lines), lines


def test_a_variable_of_a_table_within_is_there_where_it_is_offered(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURTLE_CONTROL_PLANE__MOVER__USERNAME", "shifter")
    table = '[control_plane]\nmover = { password_file = "p", sentinel_password_file = "s" }'
    mover = load("[control_plane]", table).mover
    assert mover is not None
    assert (mover.username, str(mover.password_file)) == ("shifter", "p")


def test_a_secret_written_into_the_table_is_not_repeated(load: Load) -> None:
    with_secret = '[control_plane]\nsecret_key = "hunter2"'
    with pytest.raises(ConfigurationError, match=r"control_plane\.secret_key ") as wrong:
        load("[control_plane]", with_secret)
    assert "hunter2" not in "".join(traceback.format_exception(wrong.value))
    assert wrong.value.__context__ is None
