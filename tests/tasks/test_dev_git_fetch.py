"""git_fetch, and repositories that mean harm."""

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


def test_fetch_tells_what_changed_and_status_the_distance(
    box: Box, served: tuple[Path, str]
) -> None:
    folder, base = served
    origin = make_repository(folder / "repo", "a")
    git(box.root, "clone", "--quiet", f"{base}/repo", "clone")
    before = git(origin, "rev-parse", "HEAD")
    after = add_commit(origin, "new.txt", "b")
    git(origin, "tag", "v1")
    fetched = dev.git_fetch.run(f"{box.root}/clone")
    assert fetched["changed"] == [
        {"ref": "refs/remotes/origin/main", "before": before, "after": after},
        {"ref": "refs/tags/v1", "before": None, "after": after},
    ]
    assert (fetched["url"], fetched["changed_count"]) == (f"{base}/repo", 2)
    assert dev.git_fetch.run(f"{box.root}/clone")["changed"] == []
    status = dev.git_status.run(f"{box.root}/clone")
    assert (status["upstream"], status["ahead"], status["behind"]) == ("origin/main", 0, 1)


def test_fetch_takes_a_relative_remote_from_the_top(box: Box) -> None:
    make_repository(box.root / "origin", "a")
    clone = make_repository(box.root / "clone")
    (clone / "sub").mkdir()
    git(clone, "remote", "add", "origin", "../origin")
    assert dev.git_fetch.run(f"{clone}/sub")["changed_count"] == 1


@pytest.mark.parametrize(
    "url",
    [
        "{outside}/repo",
        "file://{outside}/repo",
        "../../outside/repo",
        "ext::sh -c 'touch {outside}/owned'",
        "https://evil.example.org/x",
        "http://user:hunter2@127.0.0.1/x",
        "git@evil.example.org:x",
    ],
)
def test_fetch_refuses_a_remote_that_points_elsewhere(box: Box, url: str) -> None:
    make_repository(box.outside / "repo", "secret")
    clone = make_repository(box.root / "clone")
    git(clone, "config", "remote.origin.url", url.replace("{outside}", str(box.outside)))
    git(clone, "config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
    with pytest.raises(RefusedError) as refused:
        dev.git_fetch.run(str(clone))
    assert "hunter2" not in str(refused.value)
    assert not (box.outside / "owned").exists()


def test_fetch_refuses_an_address_that_is_rewritten_elsewhere(box: Box) -> None:
    make_repository(box.outside / "repo", "secret")
    clone = make_repository(box.root / "clone")
    git(clone, "remote", "add", "origin", "http://127.0.0.1/repo")
    git(clone, "config", f"url.{box.outside}/.insteadOf", "http://127.0.0.1/")
    with pytest.raises(RefusedError, match="outside"):
        dev.git_fetch.run(str(clone))


def test_fetch_of_an_unknown_remote_is_their_error(box: Box) -> None:
    repo = make_repository(box.root / "repo", "a")
    with pytest.raises(TheirError, match="No such remote"):
        dev.git_fetch.run(str(repo), "upstream")


def test_a_repository_cannot_start_programs(box: Box) -> None:
    repo = make_repository(box.root / "repo", "a")
    make_repository(box.root / "origin", "a")
    owned = box.outside / "owned"
    evil = f"touch {owned}; cat"
    (repo / ".gitattributes").write_text("* filter=evil diff=evil\n", encoding="utf-8")
    hook = repo / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {owned}\n", encoding="utf-8")
    hook.chmod(0o755)
    git(repo, "remote", "add", "origin", f"{box.root}/origin")
    included = repo / ".git" / "more"
    for key in (
        "core.fsmonitor",
        "core.pager",
        "core.alternateRefsCommand",
        "core.sshCommand",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "diff.evil.textconv",
        "diff.external",
        "remote.origin.uploadpack",
        "gpg.program",
        "credential.helper",
    ):
        git(repo, "config", "--file", str(included), key, evil)
    git(repo, "config", "filter.evil.required", "true")
    git(repo, "config", "include.path", "more")
    (repo / "file0.txt").write_text("b", encoding="utf-8")
    dev.git_log.run(str(repo))
    assert dev.git_status.run(str(repo))["counts"]["unstaged"] == 1
    assert dev.git_fetch.run(str(repo))["changed_count"] == 1
    assert not owned.exists()


def test_a_repository_whose_data_lie_elsewhere_is_refused(box: Box) -> None:
    secret = make_repository(box.outside / "repo", "secret")
    pointer = box.root / "pointer"
    pointer.mkdir()
    (pointer / ".git").write_text(f"gitdir: {secret}/.git\n", encoding="utf-8")
    worktree = make_repository(box.root / "worktree", "a")
    git(worktree, "config", "core.worktree", str(box.outside))
    for repo in (pointer, worktree):
        with pytest.raises(RefusedError, match="outside"):
            dev.git_status.run(str(repo))
