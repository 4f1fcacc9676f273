"""What all witnesses share: a file of lines, and an orderly end at TERM."""

import json
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from deploy.lab.files import private_log


class Witness:
    """Appends one JSON object a line; each is in the file when `write` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        private_log(path).close()

    def write(self, **line: Any) -> None:
        """Add a line."""
        with self._lock, private_log(self._path) as file:
            file.write((json.dumps(line) + "\n").encode())


def until_told() -> threading.Event:
    """An event that TERM or INT sets; a witness works until then."""
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    return ended
