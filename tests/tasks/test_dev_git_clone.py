"""git_clone: complete, or not there at all."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.policy.errors import (
    RefusedError,
    TheirError,
)
from tasks import dev
from tests.tasks.devbox import (
    Box,
    git,
    git_daemon,
    make_box,
    make_repository,
)


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    with make_box(tmp_path, monkeypatch) as box:
        box.configure(url_hosts='["127.0.0.1"]', url_schemes='["git", "http"]')
        yield box


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder of repositories, and the URL where a git daemon serves it."""
    with git_daemon(tmp_path / "served") as served:
        yield served


def test_a_clone_is_whole_and_a_second_call_finds_it(box: Box, served: tuple[Path, str]) -> None:
    folder, base = served
    origin = make_repository(folder / "repo.git", "a", "b")
    clone = dev.git_clone.run(f"{base}/repo.git")
    assert clone["path"] == f"{box.root}/repo"
    assert clone["head"] == git(origin, "rev-parse", "HEAD")
    assert clone["size_bytes"] > 1000
    assert (box.root / "repo" / "file1.txt").read_text(encoding="utf-8") == "b"
    assert dev.git_clone.run(f"{base}/repo.git") == {**clone, "existed": True}
    assert [entry.name for entry in box.root.iterdir()] == ["repo"]


def test_a_clone_of_a_path_starts_no_program_of_it(box: Box) -> None:
    origin = make_repository(box.root / "origin", "a")
    git(origin, "config", "uploadpack.packObjectsHook", f"touch {box.outside}/owned;")
    clone = dev.git_clone.run(f"file://{origin}", "copy")
    assert clone["head"] == git(origin, "rev-parse", "HEAD")
    assert not (box.outside / "owned").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_repository_of_another_owner_can_be_used(box: Box) -> None:
    origin = make_repository(box.root / "origin", "a")
    for place in (origin, *origin.rglob("*")):
        os.chown(place, 65534, 65534)
    log = dev.git_log.run(str(origin))
    assert dev.git_clone.run(str(origin), "copy")["head"] == log["commits"][0]["hash"]


def test_a_clone_of_nothing_has_no_head(box: Box) -> None:
    make_repository(box.root / "origin")
    assert dev.git_clone.run(f"{box.root}/origin", "copy")["head"] is None


def test_a_name_that_is_taken_is_refused_and_left_alone(box: Box) -> None:
    origin = make_repository(box.root / "origin", "a")
    make_repository(box.root / "other", "b")
    dev.git_clone.run(str(origin), "copy")
    (box.root / "folder").mkdir()
    (box.root / "link").symlink_to(box.root / "copy")
    with pytest.raises(RefusedError, match=f"is a clone of {origin}"):
        dev.git_clone.run(f"{box.root}/other", "copy")
    for name in ("folder", "link", "other"):
        with pytest.raises(RefusedError, match="no clone of it"):
            dev.git_clone.run(str(origin), name)


def test_a_clone_that_fails_leaves_nothing(box: Box, served: tuple[Path, str]) -> None:
    with pytest.raises(TheirError):
        dev.git_clone.run(f"{served[1]}/missing")
    assert list(box.root.iterdir()) == []


def test_what_a_killed_clone_left_is_cleared(box: Box) -> None:
    make_repository(box.root / "origin", "a")
    left = box.root / ".turtle-clone-copy" / "clone"
    left.mkdir(parents=True)
    (left / "half").touch()
    dev.git_clone.run(f"{box.root}/origin", "copy")
    assert sorted(entry.name for entry in box.root.iterdir()) == ["copy", "origin"]
    assert not (box.root / "copy" / "half").exists()


def test_clones_at_the_same_time_end_as_one(box: Box) -> None:
    make_repository(box.root / "origin", "a")
    results: list[bool] = []

    def clone() -> None:
        results.append(dev.git_clone.run(f"{box.root}/origin", "copy")["existed"])

    threads = [threading.Thread(target=clone) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False, True, True]
