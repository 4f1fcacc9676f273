"""Which API the command line calls, and with which token."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.client import Target, find_target
from fleet.policy.errors import ConfigurationError
from tests.environment import write_secret
from tests.lab.cli_calls import Turtle


def lab_file(folder: Path, content: Any) -> None:
    (folder / ".turtle").mkdir()
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / ".turtle" / "lab.json").write_text(text, encoding="utf-8")


def test_the_lab_of_this_folder_or_one_above_is_found(tmp_path: Path) -> None:
    lab_file(tmp_path, {"api_url": "http://127.0.0.1:9/api/v1/", "api_token": "t"})
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)

    expected = Target("http://127.0.0.1:9/api/v1", "t")
    assert find_target(None, None, below) == expected
    assert find_target("http://127.0.0.1:9/api/v1", None, below) == expected
    named = write_secret(tmp_path / "token", "other")
    assert find_target(None, named, below).token == "other"


def test_the_labs_token_is_never_sent_to_another_url(tmp_path: Path) -> None:
    lab_file(tmp_path, {"api_url": "http://127.0.0.1:9/api/v1", "api_token": "secret-of-lab"})

    with pytest.raises(ConfigurationError, match="no token for") as caught:
        find_target("http://elsewhere.example/api/v1", None, tmp_path)
    assert "secret-of-lab" not in str(caught.value)
    assert "secret" not in repr(Target("http://a", "secret"))


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_broken_lab_file_is_named(tmp_path: Path, content: str) -> None:
    lab_file(tmp_path, content)

    with pytest.raises(ConfigurationError, match=r"lab\.json"):
        find_target(None, None, tmp_path)


def test_without_a_lab_the_options_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="TURTLE_API_URL"):
        find_target(None, None, tmp_path)


def test_a_token_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = write_secret(tmp_path / "t", "x")
    path.chmod(0o644)
    result = Turtle("http://127.0.0.1:1/api/v1", path)("workers")

    assert result.exit_code == 2
    assert "chmod 600" in result.stderr


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1", "http://", ""])
def test_what_is_no_url_is_code_2(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where no lab was started
    result = Turtle(url, write_secret(tmp_path / "t", "x"))("workers", "--url", url)

    assert result.exit_code == 2
