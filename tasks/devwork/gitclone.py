"""Clone a repository below the first root: complete, or not there at all."""

import os
import shutil
from pathlib import Path

from pydantic import JsonValue

from fleet.policy.errors import RefusedError, StorageError
from tasks.devwork import paths
from tasks.devwork.git import opened
from tasks.devwork.gitrun import Git, upload_pack, without_credentials
from tasks.devwork.locking import exclusive
from tasks.settings import settings


def clone(url: str, name: str | None) -> dict[str, JsonValue]:
    """Clone `url` into the folder `name` of the first root.

    A clone of the same URL that is there already is the success that was asked for; anything
    else under that name is left alone, and the call refused.
    """
    source = paths.allowed_source(url)
    root = paths.roots()[0]
    target = root / paths.allowed_name(name if name is not None else _name_in(source.text))
    lock = settings().state_dir / "dev" / "clones" / f"{target.name}.lock"
    with exclusive(lock):
        existed = os.path.lexists(target)
        if existed:
            _require_same_origin(target, source.text)
        else:
            _clone_whole(source, root, target)
    return {**_described(target), "existed": existed}


def _name_in(text: str) -> str:
    last = text.rstrip("/").replace(":", "/").rpartition("/")[2]
    return last.removesuffix(".git")


def _require_same_origin(target: Path, text: str) -> None:
    # A symlink is never followed, and a folder inside of another repository is not a clone.
    origin = ""
    if not target.is_symlink() and (target / ".git").is_dir():
        git = opened(target)
        key = "remote.origin.url"
        if git.succeeds("config", "--local", "--get", key):
            origin = git.line("config", "--local", "--get", key)
    if origin != text:
        found = f"a clone of {without_credentials(origin)}" if origin else "no clone of it"
        raise RefusedError(f"{target} exists and is {found}; choose another name")


def _clone_whole(source: paths.Source, root: Path, target: Path) -> None:
    # One temporary folder a name: under our lock, one that is there is what a killed clone left.
    temporary = root / f".turtle-clone-{target.name}"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        _fill(source, temporary)
        (temporary / "clone").rename(target)
    except OSError as error:
        raise StorageError(f"cannot write below {root}: {error.strerror}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _fill(source: paths.Source, temporary: Path) -> None:
    options = ("--quiet", "--no-local", "--no-recurse-submodules", "--template=")
    git = Git(cwd=temporary).speaking(source.scheme)
    git.output("clone", *options, upload_pack(source.scheme), "--", source.text, "clone")


def _described(target: Path) -> dict[str, JsonValue]:
    git = opened(target)
    has_commits = git.succeeds("rev-parse", "--verify", "--quiet", "HEAD")
    return {
        "path": str(target),
        "head": git.line("rev-parse", "HEAD") if has_commits else None,
        "size_bytes": _size_bytes(target),
    }


def _size_bytes(folder: Path) -> int:
    return sum(
        os.lstat(Path(parent) / name).st_size
        for parent, _, names in os.walk(folder)
        for name in names
    )
