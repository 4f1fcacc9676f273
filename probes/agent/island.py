"""What a site does while it is alone: it gives what only it can run to a worker of its own.

That worker reads a folder (`tasks.island`), since a site that is alone has no broker: its Redis
takes no writes. Relay and reconciler are the same as ever, over another broker and a narrower
view of the journal; tokens and claims are the same, so nothing runs twice when the island ends.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from datetime import datetime

from tasks.home.island_broker import IslandBroker
from tasks.home.island_store import IslandStore
from tasks.home.reconcile import Reconciler
from tasks.home.relay import Relay
from tasks.home.signer import Signer
from tasks.island import VARIABLE
from tasks.settings import FleetSettings

log = logging.getLogger(__name__)
#: From being told to end to being killed: longer than any task may take.
END_WITHIN_S = 900.0
#: How long a stopping agent waits for a worker that has nothing left to do.
CLOSE_WITHIN_S = 5.0
#: A worker that ended by itself is started again after this long, doubled up to the last.
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 60.0


class IslandWorker:
    """The process of the second worker; `keep` starts and ends it, and never waits."""

    def __init__(self, settings: FleetSettings) -> None:
        self._node = f"island-{settings.box}@{settings.site}"
        self._has_work = bool(settings.capabilities)
        self._process: subprocess.Popen[bytes] | None = None
        self._kill_at_s: float | None = None
        self._start_at_s = 0.0
        self._pause_s = FIRST_PAUSE_S

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def keep(self, *, wanted: bool) -> None:
        """Call it again and again with what is wanted."""
        self._look_after()
        if not wanted:
            self._end()
            self._pause_s, self._start_at_s = FIRST_PAUSE_S, 0.0
        elif self._process is None and self._has_work and time.monotonic() >= self._start_at_s:
            self._start()

    def close(self) -> None:
        """Tell it to end; what it is working on, it finishes, and writes into the journal."""
        self._end()
        if self._process is not None:
            try:
                self._process.wait(CLOSE_WITHIN_S)
            except subprocess.TimeoutExpired:
                log.info("%s finishes what it is working on", self._node)

    def _start(self) -> None:
        command = ("-m", "celery", "-A", "tasks", "worker", "-l", "INFO", "-n", self._node)
        self._process = subprocess.Popen(
            (sys.executable, *command, "--without-mingle", "--without-gossip"),
            stdin=subprocess.PIPE,
            env={**os.environ, VARIABLE: "1"},
            start_new_session=True,
        )
        log.info("started %s, process %d", self._node, self._process.pid)

    def _end(self) -> None:
        """Closing its input has it take nothing more, finish what runs, and end."""
        if self._process is None or self._kill_at_s is not None:
            return
        _close_input(self._process)
        self._kill_at_s = time.monotonic() + END_WITHIN_S

    def _look_after(self) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._kill_when_late(self._process)
            return
        if self._kill_at_s is None:
            log.error("%s ended by itself with %s", self._node, self._process.returncode)
            self._start_at_s = time.monotonic() + self._pause_s
            self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        else:
            log.info("%s has ended", self._node)
        _close_input(self._process)
        self._process, self._kill_at_s = None, None

    def _kill_when_late(self, process: "subprocess.Popen[bytes]") -> None:
        if self._kill_at_s is not None and time.monotonic() > self._kill_at_s:
            log.warning("%s did not end within %g s; killing it", self._node, END_WITHIN_S)
            os.killpg(process.pid, signal.SIGKILL)


def _close_input(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None  # noqa: S101 - started with a pipe
    process.stdin.close()


class Island:
    """Call `step` while the site is alone and `end` while it is not."""

    def __init__(
        self, store: IslandStore, broker: IslandBroker, signer: Signer, worker: IslandWorker
    ) -> None:
        self._store, self._broker, self._worker = store, broker, worker
        self._relay = Relay(store, broker, signer)
        self._reconciler = Reconciler(store, broker, self._relay)
        self._next_reconcile_s = 0.0
        # Unknown at first: the agent before this one may have been ended on an island.
        self._alone: bool | None = None

    def step(self, now: datetime) -> None:
        """Give what may run here. Raises StorageError."""
        if not self._alone:
            self._broker.clear()
            self._alone = True
        self._worker.keep(wanted=True)
        self._relay.step(now)
        if time.monotonic() >= self._next_reconcile_s:
            self._next_reconcile_s = time.monotonic() + self._reconciler.pause_s(now)
            self._reconciler.step(now)

    def end(self) -> bool:
        """Give nothing more; what nobody claimed is the relay's again. True if there was an end.

        Raises StorageError.
        """
        self._worker.keep(wanted=False)
        if self._alone is False:
            return False
        self._broker.clear()
        self._store.take_back()
        self._alone = False
        return True

    def close(self) -> None:
        self._worker.close()
