"""Child processes that live and end together."""

import json
import logging
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue

log = logging.getLogger(__name__)


class Family:
    """Starts the children in order; when one ends, or `stop` is called, ends all in reverse.

    `pids_file` says which process is which. `within_s`: how long each child has from TERM to
    KILL, seconds.
    """

    def __init__(
        self, commands: Mapping[str, Sequence[str]], pids_file: Path, *, within_s: float
    ) -> None:
        self._commands = commands
        self._pids_file = pids_file
        self._within_s = within_s
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        # None: told to stop. A queue, because a signal's handler may put something into it.
        self._ended: SimpleQueue[str | None] = SimpleQueue()

    def stop(self) -> None:
        """End all; may be called from the handler of a signal."""
        self._ended.put(None)

    def run(self) -> int:
        """Returns 0 when told to stop, else the exit code of the child that ended first.

        A child that was ended by a signal counts as 128 and the signal's number.
        """
        for name, command in self._commands.items():
            self._start(name, command)
        self._write_pids()
        first = self._ended.get()
        if first is not None:
            log.error("%s ended with %s; ending all", first, self._children[first].returncode)
        self._end()
        return 0 if first is None else _shell_code(self._children[first].returncode)

    def _start(self, name: str, command: Sequence[str]) -> None:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        self._children[name] = child
        threading.Thread(target=self._watch, args=(name, child), daemon=True).start()

    def _watch(self, name: str, child: "subprocess.Popen[bytes]") -> None:
        child.wait()
        self._ended.put(name)

    def _write_pids(self) -> None:
        named = {name: child.pid for name, child in self._children.items()}
        self._pids_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._pids_file.write_text(json.dumps(named) + "\n", encoding="utf-8")

    def _end(self) -> None:
        for name, child in reversed(self._children.items()):
            began_s = time.monotonic()
            child.terminate()
            try:
                child.wait(self._within_s)
            except subprocess.TimeoutExpired:
                log.warning("%s did not end within %g s; killing it", name, self._within_s)
                child.kill()
                child.wait()
            log.info("%s ended after %.1f s", name, time.monotonic() - began_s)
        self._pids_file.unlink(missing_ok=True)


def _shell_code(returncode: int) -> int:
    return returncode if returncode >= 0 else 128 - returncode
