"""Forks the control plane's processes from one that has loaded Django, and looks after them.

They share the memory of everything that was loaded before the fork, so that five processes cost
little more than two.
"""

import gc
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)
#: A child that ends by itself is started again after this long.
RESTART_PAUSE_S = 1.0
#: Children that have not ended by then are killed.
STOP_WITHIN_S = 20.0


class Supervisor:
    """Forks the children, starts one again that ended, ends all of them when told to."""

    def __init__(self, children: dict[str, Callable[[], None]], pids_file: Path) -> None:
        self._children = children
        self._pids_file = pids_file
        self._pids: dict[int, str] = {}
        self._stop = threading.Event()

    def run(self) -> int:
        """Supervise until SIGTERM or SIGINT; returns the exit code."""
        gc.collect()
        gc.freeze()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for name in self._children:
            self._start(name)
        while not self._stop.is_set():
            self._reap()
            self._stop.wait(RESTART_PAUSE_S)
        self._end()
        return 0

    def _start(self, name: str) -> None:
        from django.db import connections

        connections.close_all()
        pid = os.fork()
        if pid:
            self._pids[pid] = name
            self._write_pids()
            return
        code = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            self._children[name]()
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        except BaseException:  # the boundary of the child process: log it and end
            log.exception("%s ended with an error", name)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _write_pids(self) -> None:
        """Say which process is which, for whoever looks after this machine."""
        named = {name: pid for pid, name in self._pids.items()}
        self._pids_file.write_text(json.dumps(named) + "\n", encoding="utf-8")

    def _reap(self) -> None:
        while self._pids:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            name = self._pids.pop(pid, "?")
            log.error("%s (pid %s) ended with status %s; starting it again", name, pid, status)
            if name in self._children and not self._stop.is_set():
                self._start(name)

    def _end(self) -> None:
        for pid in self._pids:
            os.kill(pid, signal.SIGTERM)
        timer = threading.Timer(STOP_WITHIN_S, self._kill)
        timer.daemon = True
        timer.start()
        for pid in list(self._pids):
            os.waitpid(pid, 0)
            del self._pids[pid]
        timer.cancel()

    def _kill(self) -> None:
        for pid in list(self._pids):
            os.kill(pid, signal.SIGKILL)
