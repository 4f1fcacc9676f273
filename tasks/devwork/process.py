"""Run one program to its end, within limits, and leave no process behind."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fleet.policy.errors import ConfigurationError, FleetError

SUPERVISOR = Path(__file__).with_name("supervise.py")
GRACE_S = 2.0  # between SIGTERM and SIGKILL
PATIENCE_S = GRACE_S + 8.0  # for the supervisor to end everything
READ_BYTES = 65_536
DRAIN_READS = 32  # twice the largest pipe that an ordinary user may make


class Tail:
    """The last `keep_bytes` of a stream, and how many bytes there were in all."""

    def __init__(self, keep_bytes: int) -> None:
        self.keep_bytes = keep_bytes
        self.total_bytes = 0
        self._kept = bytearray()

    def feed(self, data: bytes) -> None:
        self.total_bytes += len(data)
        self._kept += data
        del self._kept[: -self.keep_bytes]

    @property
    def data(self) -> bytes:
        return bytes(self._kept)

    @property
    def text(self) -> str:
        """The kept bytes as UTF-8; what is no UTF-8 becomes U+FFFD."""
        return self.data.decode("utf-8", errors="replace")

    @property
    def truncated(self) -> bool:
        return self.total_bytes > len(self._kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`memory_bytes` limits each process's address space; None leaves it as it is."""

    timeout_s: float
    keep_bytes: int
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to start: absolute path and arguments, folder, and exactly this environment.

    `merge` sends the error stream into the output stream, in the order it was written.
    """

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    stdin: bytes = b""
    merge: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a program ended; `exit_code` is negative when a signal ended it.

    `stderr` stays empty when the streams were merged.
    """

    exit_code: int
    timed_out: bool
    duration_s: float
    stdout: Tail
    stderr: Tail


def run(command: Command, limits: Limits) -> Finished:
    """Run a command to its end.

    At the time limit, and when this call is interrupted by any exception, the program and
    everything below it get SIGTERM, and SIGKILL after GRACE_S. Raises ConfigurationError when
    the program cannot be started.
    """
    with tempfile.TemporaryFile() as stdin, _pipe() as lifeline, _pipe() as report:
        stdin.write(command.stdin)
        stdin.seek(0)
        started = time.monotonic()
        process = _start(command, limits.memory_bytes or 0, stdin, (lifeline, report))
        try:
            watch = _Watch(process, lifeline, report, limits)
            watch.until_end(started + limits.timeout_s)
        finally:
            _end(process, lifeline)
        return watch.finished(command.argv[0], time.monotonic() - started)


class _Pipe:
    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        self._open = {self.read_end, self.write_end}

    def close(self, end: int) -> None:
        if end in self._open:
            self._open.remove(end)
            os.close(end)


@contextlib.contextmanager
def _pipe() -> Iterator[_Pipe]:
    # The lifeline is open before the program starts, and closed on every way out. So even an
    # exception that strikes inside Popen, after its fork, leaves nothing running.
    pipe = _Pipe()
    try:
        yield pipe
    finally:
        pipe.close(pipe.read_end)
        pipe.close(pipe.write_end)


def _start(
    command: Command, memory_bytes: int, stdin: IO[bytes], pipes: tuple[_Pipe, _Pipe]
) -> subprocess.Popen[bytes]:
    lifeline, report = pipes
    ends = (lifeline.read_end, report.write_end)
    numbers = map(str, (*ends, GRACE_S, memory_bytes))
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", str(SUPERVISOR), *numbers, *command.argv],
            cwd=command.cwd,
            env=dict(command.env),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if command.merge else subprocess.PIPE,
            pass_fds=ends,
            start_new_session=True,
        )
    except OSError as error:
        name = command.argv[0]
        raise FleetError(f"cannot start {name}: {error.strerror}", transient=True) from error
    lifeline.close(lifeline.read_end)
    report.close(report.write_end)
    return process


class _Watch:
    """Reads what a started program writes, until its supervisor has nothing left to watch."""

    def __init__(
        self, process: subprocess.Popen[bytes], lifeline: _Pipe, report: _Pipe, limits: Limits
    ) -> None:
        self.lifeline = lifeline
        self.tails = {name: Tail(limits.keep_bytes) for name in ("stdout", "stderr", "report")}
        self.timed_out = False
        self.selector = selectors.DefaultSelector()
        self._follow("report", report.read_end)
        for name, stream in (("stdout", process.stdout), ("stderr", process.stderr)):
            if stream is not None:
                self._follow(name, stream.fileno())

    def _follow(self, name: str, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.selector.register(descriptor, selectors.EVENT_READ, name)

    def until_end(self, deadline: float) -> None:
        with self.selector:
            self._read_until(deadline)
            if self._running():
                self.timed_out = True
                self.lifeline.close(self.lifeline.write_end)
                self._read_until(time.monotonic() + PATIENCE_S)
            self.drain()

    def _running(self) -> bool:
        return any(key.data == "report" for key in self.selector.get_map().values())

    def _read_until(self, deadline: float) -> None:
        while self._running() and (left := deadline - time.monotonic()) > 0:
            for key, _ in self.selector.select(left):
                self._read(key)

    def drain(self) -> None:
        """Read what was written before the end and still stands in the pipes."""
        for key in list(self.selector.get_map().values()):
            for _ in range(DRAIN_READS):
                if not self._read(key):
                    break

    def _read(self, key: selectors.SelectorKey) -> bool:
        try:
            data = os.read(key.fd, READ_BYTES)
        except BlockingIOError:
            return False
        self.tails[key.data].feed(data)
        if not data:
            self.selector.unregister(key.fd)
        return bool(data)

    def finished(self, program: str, duration_s: float) -> Finished:
        report = json.loads(self.tails["report"].data or b"{}")
        if "error" in report:
            raise ConfigurationError(f"{program} does not start: {report['error']}")
        code = report.get("exit_code")
        if code is None:
            said = (self.tails["stderr"].text or self.tails["stdout"].text)[-300:]
            raise FleetError(f"how {program} ended is not known; it said: {said}", transient=True)
        return Finished(
            exit_code=code,
            timed_out=self.timed_out,
            duration_s=duration_s,
            stdout=self.tails["stdout"],
            stderr=self.tails["stderr"],
        )


def _end(process: subprocess.Popen[bytes], lifeline: _Pipe) -> None:
    lifeline.close(lifeline.write_end)
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    finally:
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
