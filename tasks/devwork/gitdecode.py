"""What git's machine-readable output means: bytes in, JSON values out."""

from collections.abc import Iterator
from datetime import UTC, datetime

from pydantic import JsonValue

#: Four fields a commit, each ended by NUL (git-log(1), with `-z`).
LOG_FORMAT = "--format=%H%x00%an%x00%at%x00%s"
#: Three fields a ref, one ref a line (git-for-each-ref(1)); ref names hold no space.
REFS_FORMAT = "--format=%(objectname) %(refname) %(symref)"

MAX_FILES = 200

#: Fields before the path in a line of `git status --porcelain=v2`, by the line's first letter.
_FIELDS_BEFORE_PATH = {"1": 8, "2": 9, "u": 10, "?": 1, "!": 1}


def text_of(data: bytes) -> str:
    """Git's bytes as text; names in other encodings get U+FFFD, since JSON has no bytes."""
    return data.decode("utf-8", errors="replace")


def commits(data: bytes) -> list[JsonValue]:
    """The commits of a log in LOG_FORMAT, newest first as git wrote them."""
    fields = text_of(data).split("\0")
    return [_commit(*fields[at : at + 4]) for at in range(0, len(fields) - 3, 4)]


def _commit(commit_hash: str, author: str, seconds: str, subject: str) -> JsonValue:
    return {"hash": commit_hash, "author": author, "time": _utc(seconds), "subject": subject}


def _utc(seconds: str) -> str | None:
    try:
        return datetime.fromtimestamp(int(seconds), UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None  # a commit may carry any number, or none


def refs(data: bytes) -> dict[str, str]:
    """Hash by ref name, from REFS_FORMAT; without refs that only point to another."""
    rows = (line.split(" ") for line in text_of(data).splitlines())
    return {name: object_hash for object_hash, name, points_to in rows if not points_to}


def changed_refs(before: dict[str, str], after: dict[str, str]) -> list[JsonValue]:
    """What differs between two states of the refs; None stands for 'not there'."""
    return [
        {"ref": name, "before": before.get(name), "after": after.get(name)}
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def status(data: bytes) -> dict[str, JsonValue]:
    """The branch, the counts and the first MAX_FILES changed files of a work tree.

    The input is `git status --porcelain=v2 --branch -z`.
    """
    headers: dict[str, str] = {}
    files: list[dict[str, JsonValue]] = []
    entries = iter(text_of(data).split("\0"))
    for entry in entries:
        if entry.startswith("# "):
            key, _, value = entry[2:].partition(" ")
            headers[key] = value
        elif entry:
            files.append(_file(entry, entries))
    return {**_branch(headers), **_files(files)}


def _branch(headers: dict[str, str]) -> dict[str, JsonValue]:
    head, oid = headers.get("branch.head"), headers.get("branch.oid")
    ahead, _, behind = headers.get("branch.ab", "").partition(" ")
    return {
        "branch": None if head == "(detached)" else head,
        "head": None if oid == "(initial)" else oid,
        "upstream": headers.get("branch.upstream"),
        "ahead": abs(int(ahead)) if ahead else None,
        "behind": abs(int(behind)) if behind else None,
    }


def _file(entry: str, following: Iterator[str]) -> dict[str, JsonValue]:
    kind = entry[0]
    fields = entry.split(" ", _FIELDS_BEFORE_PATH[kind])
    staged, unstaged = ("?", "?") if kind == "?" else tuple(fields[1])
    state = {"u": "conflicted", "?": "untracked"}.get(kind, "changed")
    file: dict[str, JsonValue] = {
        "path": fields[-1],
        "state": state,
        "staged": staged,
        "unstaged": unstaged,
    }
    if kind == "2":
        file["from"] = next(following)
    return file


def _files(files: list[dict[str, JsonValue]]) -> dict[str, JsonValue]:
    changed = [file for file in files if file["state"] == "changed"]
    counts: dict[str, JsonValue] = {
        "staged": sum(file["staged"] != "." for file in changed),
        "unstaged": sum(file["unstaged"] != "." for file in changed),
        "untracked": sum(file["state"] == "untracked" for file in files),
        "conflicted": sum(file["state"] == "conflicted" for file in files),
    }
    first: list[JsonValue] = list(files[:MAX_FILES])
    return {
        "clean": not files,
        "counts": counts,
        "files": first,
        "files_total": len(files),
        "files_truncated": len(files) > MAX_FILES,
    }
