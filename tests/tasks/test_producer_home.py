"""A program may enqueue on a box that is a home; anywhere else it is refused, and told why."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.policy.errors import RefusedError
from tasks import producer
from tasks.app import app
from tasks.box import Box
from tasks.producer import JournalAcceptor, journal_acceptor
from tasks.settings import HomeSettings, SigningSettings, load_settings
from tests.environment import write_home_key

ROOT = Path(__file__).parents[2]
MakeBox = Callable[[str, dict[str, HomeSettings], Path | None], Box]


@pytest.fixture
def box_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeBox:
    """Makes this process' box one with the given homes and key."""

    def make(site: str, homes: dict[str, HomeSettings], key: Path | None) -> Box:
        signing = SigningSettings(private_key_file=key) if key else None
        found = load_settings(site=site, box="mini-1", state_dir=tmp_path)
        box = Box(found.model_copy(update={"homes": homes, "signing": signing}))
        monkeypatch.setattr(producer, "own_box", lambda: box)
        return box

    return make


def test_a_box_with_the_key_of_its_own_home_accepts(tmp_path: Path, box_of: MakeBox) -> None:
    home = HomeSettings(public_key=write_home_key(tmp_path / "home.key"), number=1)
    box_of("dc1", {"dc1": home}, tmp_path / "home.key")
    assert isinstance(journal_acceptor(app), JournalAcceptor)


@pytest.mark.parametrize(
    ("site", "key", "why"),
    [
        ("dc3", "home.key", r"no \[homes\.dc3\], so that dc3 is no home"),
        ("dc1", None, r"no \[signing\] key"),
        ("dc1", "other.key", r"other\.key is not the key of \[homes\.dc1\]"),
    ],
)
def test_a_box_that_is_no_home_refuses_and_says_what_to_do(
    tmp_path: Path, box_of: MakeBox, site: str, key: str | None, why: str
) -> None:
    home = HomeSettings(public_key=write_home_key(tmp_path / "home.key"), number=1)
    write_home_key(tmp_path / "other.key")
    box_of(site, {"dc1": home, "control": home}, tmp_path / key if key else None)
    with pytest.raises(RefusedError, match=why) as refused:
        journal_acceptor(app)
    assert "django.setup()" in str(refused.value)
    assert "HTTP API" in str(refused.value)


def test_a_program_on_the_control_planes_box_without_django_writes_nothing(
    tmp_path: Path,
) -> None:
    """The suite's own configuration is that of the control plane's box."""
    program = "from tasks.canary import echo; echo.delay(7)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"TURTLE_CONFIG": os.environ["TURTLE_CONFIG"], "TURTLE_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "RefusedError: this process has no home to accept tasks" in done.stderr
    assert not (tmp_path / "journal.sqlite3").exists()
