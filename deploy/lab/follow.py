"""Read the lab's logs, to their end or for as long as somebody watches."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.lab.files import tail

LOOK_EVERY_S = 0.3

Show = Callable[[str, str], None]


def show_tails(logs: Mapping[str, Path], show: Show, *, lines: int) -> None:
    """Call `show(name, line)` for the last lines of each log."""
    for name, path in logs.items():
        for line in tail(path, lines).splitlines():
            show(name, line)


def follow(logs: Mapping[str, Path], show: Show, stop: threading.Event) -> None:
    """Call `show(name, line)` for each whole line that is added, until `stop` is set."""
    followers = [_Follower(name, path) for name, path in logs.items()]
    while not stop.is_set():
        for follower in followers:
            for line in follower.new_lines():
                show(follower.name, line)
        stop.wait(LOOK_EVERY_S)


class _Follower:
    """Remembers how far one log was read, and the part of a line that is still being written."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        self.offset = path.stat().st_size if path.exists() else 0
        self.rest = b""

    def new_lines(self) -> list[str]:
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self.offset)
            added = file.read()
        self.offset += len(added)
        *whole, self.rest = (self.rest + added).split(b"\n")
        return [line.decode(errors="replace") for line in whole]
