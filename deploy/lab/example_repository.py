"""A small real git repository, so that the first tasks have something to read."""

import os
import subprocess
from pathlib import Path

from deploy.lab.errors import LabError
from deploy.lab.files import private_folder

_COMMITS = (
    ("Plant the fleet's first file", "README.md", "# Example\n\nA repository to try tasks on.\n"),
    ("Say who lives where", "sites.txt", "dc1: udm, dev\ndc2: openwrt, dev\n"),
    ("Count the turtles", "turtles.txt", "all the way down\n"),
)


def make_example(folder: Path) -> Path:
    """Make `example` (a work tree) and `example.git` (bare) below `folder`; returns the latter.

    Does nothing where they exist. Raises LabError when git is missing or fails.
    """
    bare = folder / "example.git"
    if bare.is_dir():
        return bare
    tree = private_folder(folder / "example")
    _git(tree, "init", "--quiet", "--initial-branch=main")
    for subject, name, text in _COMMITS:
        (tree / name).write_text(text, encoding="utf-8")
        _git(tree, "add", name)
        _git(tree, "commit", "--quiet", "-m", subject)
    _git(folder, "clone", "--quiet", "--bare", str(tree), str(bare))
    _git(tree, "remote", "add", "origin", str(bare))
    return bare


def _git(folder: Path, *arguments: str) -> None:
    person = ("-c", "user.name=Turtle Fleet", "-c", "user.email=fleet@localhost")
    quiet = ("-c", "commit.gpgSign=false", "-c", "core.hooksPath=/dev/null")
    # Settings of this person's git must not change what everybody's lab looks like.
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        subprocess.run(
            ["git", *person, *quiet, *arguments],
            cwd=folder,
            env={**env, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull},
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
    except FileNotFoundError as error:
        raise LabError("git is not installed; install it and run this again") from error
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        reason = getattr(error, "stderr", "") or error
        raise LabError(f"git {arguments[0]} in {folder} failed: {reason}") from error
