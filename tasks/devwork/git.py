"""The git operations of the `dev` tasks, on repositories that lie below the roots."""

from pathlib import Path

from pydantic import JsonValue

from fleet.policy.errors import BadArgumentsError
from tasks.devwork import gitdecode, paths
from tasks.devwork.gitcache import FETCHED, cached_copy
from tasks.devwork.gitrun import (
    Git,
    neutralised,
    upload_pack,
    without_credentials,
)

MAX_COMMITS = 1000


def log(url: str, limit: int) -> dict[str, JsonValue]:
    """The newest commits of the current branch of a path or remote URL."""
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_COMMITS:
        raise BadArgumentsError(f"limit must be a whole number from 1 to {MAX_COMMITS}")
    source = paths.allowed_source(url)
    if source.path is not None:
        found = _commits(opened(source.path), "HEAD", limit)
    else:
        with cached_copy(source, depth=limit) as git:
            found = _commits(git, FETCHED, limit)
    return {"repository": source.text, "count": len(found), "commits": found}


def _commits(git: Git, revision: str, limit: int) -> list[JsonValue]:
    if not git.succeeds("rev-parse", "--verify", "--quiet", revision):
        return []  # a repository without commits
    arguments = ("-z", gitdecode.LOG_FORMAT, f"--max-count={limit}", "--no-color", "--no-mailmap")
    return gitdecode.commits(git.output("log", *arguments, revision, "--"))


def status(path: str) -> dict[str, JsonValue]:
    """Branch, distance to its upstream, and changed files of a work tree."""
    folder = paths.allowed_path(path)
    # A submodule has a configuration of its own that could start programs: do not look inside.
    arguments = ("--porcelain=v2", "--branch", "-z", "--ignore-submodules=dirty")
    output = opened(folder).output("status", *arguments, "--untracked-files=normal")
    return {"path": str(folder), **gitdecode.status(output)}


def fetch(path: str, remote: str) -> dict[str, JsonValue]:
    """Fetch a configured remote; returns the refs that it changed."""
    folder = paths.allowed_path(path)
    paths.allowed_remote(remote)
    git = opened(folder)
    url = git.line("remote", "get-url", "--", remote)
    source = paths.allowed_source(_absolute(git, url))
    online = git.speaking(source.scheme)
    before = gitdecode.refs(git.output("for-each-ref", gitdecode.REFS_FORMAT))
    online.output("fetch", "--quiet", upload_pack(source.scheme), "--", remote)
    after = gitdecode.refs(git.output("for-each-ref", gitdecode.REFS_FORMAT))
    changed = gitdecode.changed_refs(before, after)
    return {
        "path": str(folder),
        "remote": remote,
        "url": without_credentials(url),
        "changed_count": len(changed),
        "changed": changed,
    }


def _absolute(git: Git, url: str) -> str:
    # Git reads a remote such as `../origin.git` from the top of the work tree.
    before, colon, _ = url.partition(":")
    if url.startswith("/") or (colon and "/" not in before):
        return url
    return str(_top(git) / url)


def _top(git: Git) -> Path:
    bare = git.line("rev-parse", "--is-bare-repository") == "true"
    return Path(git.line("rev-parse", "--absolute-git-dir" if bare else "--show-toplevel"))


def opened(folder: Path) -> Git:
    """Git in the repository around `folder`, with the programs of its configuration off.

    Raises RefusedError when its data or its work tree lie outside of the roots.
    """
    folder = folder if folder.is_dir() else folder.parent
    git = Git(cwd=folder)
    places = git.line(
        "rev-parse", "--path-format=absolute", "--absolute-git-dir", "--git-common-dir"
    ).splitlines()
    for place in places:
        paths.require_below_roots(Path(place).resolve())
    config = _configuration(git)
    if "core.worktree" in config:
        paths.require_below_roots((Path(places[0]) / config["core.worktree"]).resolve())
    return Git(cwd=folder, config=neutralised(config))


def _configuration(git: Git) -> dict[str, str]:
    entries = gitdecode.text_of(git.output("config", "--list", "-z", "--includes")).split("\0")
    pairs = (entry.partition("\n") for entry in entries if entry)
    return {key: value for key, _, value in pairs}
