"""Files and folders that only their owner can read."""

import os
import tempfile
from pathlib import Path
from typing import BinaryIO


def private_folder(path: Path) -> Path:
    """Make the folder and its missing parents with mode 700."""
    for folder in [*reversed(path.parents), path]:
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
    return path


def write_private(path: Path, text: str) -> Path:
    """Write `text` with mode 600; readers see the old content or the new, never a part."""
    private_folder(path.parent)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


def private_log(path: Path) -> BinaryIO:
    """Open a log for appending; it is made with mode 600."""
    private_folder(path.parent)
    return open(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600))


def read_stripped(path: Path) -> str:
    """The text of a secret's file without its line end."""
    return path.read_text(encoding="utf-8").strip()


def tail(path: Path, lines: int = 20) -> str:
    """The last lines of a log, or a note that there is none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return f"(no log at {path})"
    return "\n".join(text.splitlines()[-lines:]) or f"({path} is empty)"
