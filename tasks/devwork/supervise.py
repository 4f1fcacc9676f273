"""The small program between a worker and a command: no process of the command outlives it.

Started as `python -I supervise.py LIFELINE REPORT GRACE_S MEMORY_BYTES PROGRAM [ARGUMENT...]`.
LIFELINE is the read end of a pipe whose write end only the worker holds: it closes when the
worker wants an end, and when the worker dies, even by SIGKILL. REPORT is a pipe for one line
of JSON: `{"exit_code": n}` (negative: ended by that signal) or `{"error": "why no start"}`.

Why a program of its own, and no `preexec_fn` in the worker: a worker has threads, and Python
code between fork and exec may deadlock on their locks. Here is one thread only, so the limits
can be set in the child before exec, without a moment in which the command runs unlimited.
As the subreaper it also inherits every orphan below it, so a grandchild that left the process
group (`setsid`, a double fork) is still found and ended.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # <linux/prctl.h>
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
POLL_S = 0.05  # a grandchild's end sends no SIGCHLD here, so look again after this time
KILL_PATIENCE_S = 5.0


class Supervisor:
    """One command and all processes below it."""

    def __init__(self, lifeline: int, wake: int) -> None:
        self.lifeline = lifeline
        self.wake = wake
        self.child = 0
        self.exit_code: int | None = None

    def start(self, argv: list[str], memory_bytes: int) -> None:
        """Start the command as the leader of its own session; OSError when it cannot start."""
        process = subprocess.Popen(
            argv, start_new_session=True, preexec_fn=lambda: limit(memory_bytes)
        )
        self.child = process.pid
        process.returncode = 0  # `reap` collects the status; keep Popen from waiting for it

    def wait(self) -> None:
        """Return when the command has ended, or when it has to."""
        while self.exit_code is None:
            ready, _, _ = select.select([self.lifeline, self.wake], [], [])
            if self.lifeline in ready or self._told_to_stop():
                return
            self.reap()

    def _told_to_stop(self) -> bool:
        return any(number in STOP_SIGNALS for number in os.read(self.wake, 512))

    def reap(self) -> None:
        """Collect every ended child, adopted ones too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.child:
                self.exit_code = os.waitstatus_to_exitcode(status)

    def end_all(self, grace_s: float) -> None:
        """SIGTERM to everything that is left, and SIGKILL to what is left after the grace."""
        if self._left():
            self._signal(signal.SIGTERM)
            self._until_none_left(grace_s, again=None)
            self._until_none_left(KILL_PATIENCE_S, again=signal.SIGKILL)

    def _left(self) -> list[psutil.Process]:
        self.reap()
        return psutil.Process().children(recursive=True)

    def _until_none_left(self, time_s: float, again: signal.Signals | None) -> None:
        deadline = time.monotonic() + time_s
        while self._left() and time.monotonic() < deadline:
            if again is not None:
                self._signal(again)
            select.select([self.wake], [], [], POLL_S)

    def _signal(self, number: signal.Signals) -> None:
        # Groups first: the kernel signals a group in one step, so no fork slips through. They
        # hold processes from below only: the command's sessions are not the one of this process.
        below = [process.pid for process in psutil.Process().children(recursive=True)]
        for group in {group_of(pid) for pid in below} - {0}:
            send(os.killpg, group, number)
        for pid in below:
            send(os.kill, pid, number)


def group_of(pid: int) -> int:
    """The process group of `pid`; 0 when it is gone."""
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def send(how: Callable[[int, int], None], target: int, number: int) -> None:
    """Send a signal to what may be gone already, or have become another user's (setuid)."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        how(target, number)


def limit(memory_bytes: int) -> None:
    """Limit this process: address space (0: as it is), no core files, no life of its own.

    A machine that already allows less memory keeps its own limit.
    """
    process_control(PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes:
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        lowest = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
        resource.setrlimit(resource.RLIMIT_AS, (lowest, lowest))


def process_control(option: int, value: int) -> None:
    """prctl(2), which only Linux has; elsewhere signals to the process group have to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def wake_on_signals() -> int:
    """A descriptor that becomes readable, one byte a signal."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, *STOP_SIGNALS):
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    return reader


def main(arguments: list[str]) -> None:
    lifeline, report = int(arguments[0]), int(arguments[1])
    grace_s, memory_bytes, argv = float(arguments[2]), int(arguments[3]), arguments[4:]
    process_control(PR_SET_CHILD_SUBREAPER, 1)
    supervisor = Supervisor(lifeline, wake_on_signals())
    try:
        supervisor.start(argv, memory_bytes)
    except OSError as error:
        os.write(report, json.dumps({"error": error.strerror}).encode())
        return
    try:
        supervisor.wait()
    finally:
        supervisor.end_all(grace_s)
    os.write(report, json.dumps({"exit_code": supervisor.exit_code}).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
