"""Shallow copies of remote repositories, kept below the state folder between calls."""

import contextlib
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from fleet.policy.errors import StorageError, TheirError
from tasks.devwork.gitrun import Git, upload_pack
from tasks.devwork.locking import exclusive
from tasks.devwork.paths import Source
from tasks.settings import settings

#: The ref that a copy keeps the remote's HEAD in.
FETCHED = "refs/turtle/head"
MAX_PACKS = 30  # every fetch may add one; a copy with more is made anew
_EMPTY = "couldn't find remote ref HEAD"


@contextlib.contextmanager
def cached_copy(source: Source, depth: int) -> Iterator[Git]:
    """A bare copy of the remote with the newest `depth` generations, fresh and locked.

    `depth` generations hold the newest `depth` commits, whatever the branches look like.
    """
    name = hashlib.sha256(source.text.encode()).hexdigest()[:32]
    folder = settings().state_dir / "dev" / "copies" / f"{name}.git"
    with exclusive(folder.with_suffix(".lock")):
        _tidy(folder)
        git = Git(cwd=_made(folder))
        _fetch(git, source, depth)
        yield git


def _tidy(folder: Path) -> None:
    # Only the holder of our lock works here, so git's own locks are those of a killed git.
    for left in folder.rglob("*.lock"):
        left.unlink(missing_ok=True)
    if len(list(folder.glob("objects/pack/*.pack"))) > MAX_PACKS:
        shutil.rmtree(folder)


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make {folder}: {error.strerror}") from error
    Git(cwd=folder).output("init", "--quiet", "--bare", "--template=", ".")
    return folder


def _fetch(git: Git, source: Source, depth: int) -> None:
    options = ("--quiet", "--no-tags", "--force", f"--depth={depth}", upload_pack(source.scheme))
    try:
        git.speaking(source.scheme).output("fetch", *options, "--", source.text, f"+HEAD:{FETCHED}")
    except TheirError as error:
        if _EMPTY not in str(error):
            raise
