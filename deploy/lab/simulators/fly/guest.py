"""What runs in a machine: one process with its children, found again by id and time of birth."""

import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import psutil

from deploy.lab import processes
from deploy.lab.files import private_log
from deploy.lab.processes import ProcessRecord

#: After KILL nothing is left to wait for but the kernel.
GONE_WITHIN_S = 10.0


class Guest:
    """A process that runs, or ran; `on_exit` gets its exit code, None if it is not known."""

    def __init__(
        self, record: ProcessRecord, on_exit: Callable[["Guest", int | None], None]
    ) -> None:
        self.record = record
        self.ended = Event()
        self._on_exit = on_exit
        # In this thread: who comes to look must not find it gone before the watch begins.
        self._watched = _process(record)
        Thread(target=self._watch, name="guest", daemon=True).start()

    def freeze(self) -> None:
        """Pause it with all its children."""
        processes.freeze(self.record)

    def thaw(self) -> None:
        """Let it go on."""
        processes.thaw(self.record)

    def end(self, *, kill_after_s: float) -> None:
        """TERM for the process; KILL for what is left of it and its children after a while."""
        process = processes.find(self.record)
        family = process.children(recursive=True) if process else []
        if process is not None:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
            self.thaw()
        if not self.ended.wait(kill_after_s):
            processes.kill(self.record, family=True)
        for left in family:
            with suppress(psutil.NoSuchProcess):
                left.kill()
        psutil.wait_procs(family, timeout=GONE_WITHIN_S)
        self.ended.wait(GONE_WITHIN_S)

    def _watch(self) -> None:
        code: int | None = None
        if self._watched is not None:
            with suppress(psutil.Error):
                code = self._watched.wait()
        self.ended.set()
        self._on_exit(self, code)


def _process(record: ProcessRecord) -> psutil.Process | None:
    """The process of this record, also one that has ended and was not collected yet."""
    with suppress(psutil.NoSuchProcess):
        found = psutil.Process(record.pid)
        if abs(found.create_time() - record.create_time) <= processes.SAME_BIRTH_S:
            return found
    return None


def boot(
    command: tuple[str, ...], *, log: Path, cwd: Path, env: Mapping[str, str]
) -> ProcessRecord:
    """Start the process; raises OSError.

    It stays in the session of this one, where the lab finds it if this one is killed, in a
    process group of its own, so that a Ctrl-C does not reach it.
    """
    with private_log(log) as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=dict(env),
            process_group=0,
            umask=0o077,
        )
    # The guest's watcher collects it, as it does one that an earlier simulator started.
    child.returncode = 0
    born = psutil.Process(child.pid).create_time()
    return ProcessRecord(pid=child.pid, create_time=born, command=command, log=log)
