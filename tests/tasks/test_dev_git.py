"""git_log and git_status on real repositories and a real git daemon."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.policy.errors import (
    BadArgumentsError,
    TheirError,
)
from tasks import dev
from tasks.devwork import gitcache
from tests.tasks.devbox import (
    Box,
    add_commit,
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


def test_a_log_tells_the_newest_commits_first(box: Box) -> None:
    repo = make_repository(box.root / "repo", "first", "second: ä|\x1f☃", "third")
    log = dev.git_log.run(str(repo), limit=2)
    assert [commit["subject"] for commit in log["commits"]] == ["third", "second: ä|\x1f☃"]
    assert log["commits"][0] == {
        "hash": git(repo, "rev-parse", "HEAD"),
        "author": "Ada",
        "time": "2026-01-02T01:04:05+00:00",
        "subject": "third",
    }
    assert (log["count"], log["repository"]) == (2, str(repo))


def test_a_log_of_a_file_url_or_a_folder_inside_is_the_same(box: Box) -> None:
    repo = make_repository(box.root / "repo", "first")
    (repo / "sub").mkdir()
    expected = dev.git_log.run(str(repo))["commits"]
    assert dev.git_log.run(f"file://{repo}")["commits"] == expected
    assert dev.git_log.run(f"{repo}/sub")["commits"] == expected


def test_a_repository_without_commits_has_an_empty_log(box: Box) -> None:
    assert dev.git_log.run(str(make_repository(box.root / "repo")))["commits"] == []


@pytest.mark.parametrize("limit", [0, -1, 1001, True, "5", 2.5, None])
def test_an_odd_limit_is_refused(box: Box, limit: object) -> None:
    with pytest.raises(BadArgumentsError, match="1 to 1000"):
        dev.git_log.run(str(box.root), limit)


def test_a_folder_that_is_no_repository_is_their_error(box: Box) -> None:
    git(box.root.parent, "init", "--quiet")  # above the root: must not be found
    for call in (dev.git_log, dev.git_status, dev.git_fetch):
        with pytest.raises(TheirError, match="not a git repository") as error:
            call.run(str(box.root))
        assert not error.value.transient


def test_a_remote_log_is_fresh_each_time(box: Box, served: tuple[Path, str]) -> None:
    folder, base = served
    repo = make_repository(folder / "repo", *"abcde")
    subjects = [c["subject"] for c in dev.git_log.run(f"{base}/repo", 3)["commits"]]
    assert subjects == ["e", "d", "c"]
    add_commit(repo, "new.txt", "f")
    subjects = [c["subject"] for c in dev.git_log.run(f"{base}/repo", 6)["commits"]]
    assert subjects == ["f", "e", "d", "c", "b", "a"]
    assert len(list((box.state / "dev" / "copies").glob("*.git"))) == 1


def test_a_remote_log_with_merges_holds_the_newest(box: Box, served: tuple[Path, str]) -> None:
    folder, base = served
    repo = make_repository(folder / "repo", "a", "b")
    git(repo, "checkout", "--quiet", "-b", "side", "HEAD~1")
    add_commit(repo, "side.txt", "side")
    git(repo, "checkout", "--quiet", "main")
    git(repo, "merge", "--quiet", "-m", "merge", "side")
    expected = git(repo, "log", "--format=%H", "-n3").split()
    found = dev.git_log.run(f"{base}/repo", 3)["commits"]
    assert [commit["hash"] for commit in found] == expected


def test_a_remote_without_commits_has_an_empty_log(box: Box, served: tuple[Path, str]) -> None:
    folder, base = served
    make_repository(folder / "empty")
    assert dev.git_log.run(f"{base}/empty")["commits"] == []


def test_a_copy_that_a_killed_git_left_locked_is_used_again(
    box: Box, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, base = served
    make_repository(folder / "repo", *"abc")
    dev.git_log.run(f"{base}/repo", 1)
    (copy,) = (box.state / "dev" / "copies").glob("*.git")
    (copy / "shallow.lock").touch()
    assert dev.git_log.run(f"{base}/repo", 2)["count"] == 2
    monkeypatch.setattr(gitcache, "MAX_PACKS", 0)
    assert dev.git_log.run(f"{base}/repo", 3)["count"] == 3, "too many packs: made anew"


def test_status_tells_branch_and_changes(box: Box) -> None:
    repo = make_repository(box.root / "repo", "a", "b", "c")
    git(repo, "mv", "file0.txt", "renamed ä.txt")
    (repo / "file1.txt").write_text("changed", encoding="utf-8")
    (repo / "un\ntracked").touch()
    status = dev.git_status.run(str(repo))
    assert (status["branch"], status["head"]) == ("main", git(repo, "rev-parse", "HEAD"))
    assert (status["upstream"], status["ahead"], status["behind"]) == (None, None, None)
    assert status["counts"] == {"staged": 1, "unstaged": 1, "untracked": 1, "conflicted": 0}
    assert not status["clean"]
    assert {
        "path": "renamed ä.txt",
        "state": "changed",
        "staged": "R",
        "unstaged": ".",
        "from": "file0.txt",
    } in status["files"]
    assert {"path": "un\ntracked", "state": "untracked", "staged": "?", "unstaged": "?"} in status[
        "files"
    ]


def test_status_tells_conflicts_and_a_detached_head(box: Box) -> None:
    repo = make_repository(box.root / "repo", "a")
    git(repo, "checkout", "--quiet", "-b", "side")
    add_commit(repo, "same.txt", "one")
    git(repo, "checkout", "--quiet", "main")
    add_commit(repo, "same.txt", "two")
    with pytest.raises(subprocess.CalledProcessError):
        git(repo, "merge", "side")
    assert dev.git_status.run(str(repo))["counts"]["conflicted"] == 1
    git(repo, "reset", "--quiet", "--hard")
    git(repo, "checkout", "--quiet", "--detach")
    status = dev.git_status.run(str(repo))
    assert (status["branch"], status["clean"]) == (None, True)


def test_status_lists_some_files_and_counts_all(box: Box) -> None:
    repo = make_repository(box.root / "repo")
    for number in range(205):
        (repo / f"{number}").touch()
    status = dev.git_status.run(str(repo))
    assert (len(status["files"]), status["files_total"], status["files_truncated"]) == (
        200,
        205,
        True,
    )
    assert status["head"] is None


def test_status_of_a_bare_repository_is_their_error(box: Box) -> None:
    git(box.root, "init", "--quiet", "--bare", "bare.git")
    with pytest.raises(TheirError, match="work tree"):
        dev.git_status.run(f"{box.root}/bare.git")
