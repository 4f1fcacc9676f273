"""Start, find and stop the lab's processes, each by its id and its time of birth."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

from deploy.lab.errors import LabError, NotReadyError
from deploy.lab.files import private_log, tail
from deploy.lab.listeners import listeners
from deploy.lab.waiting import wait_until

#: A process id whose time of birth differs by more belongs to somebody else. The kernel's idea
#: of a process' birth moves a little when the clock is set.
SAME_BIRTH_S = 2.0

#: Where `ip netns` keeps the namespaces that have a name.
NETNS_FOLDER = Path("/run/netns")
ANY_HOST = "0.0.0.0"  # noqa: S104 - compared with, not listened at

_children: dict[int, "subprocess.Popen[bytes]"] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """A process to start: where it belongs, what runs, and where its output goes.

    `netns`: the network namespace it runs in, None for the machine's own.
    """

    site: str
    name: str
    command: tuple[str, ...]
    log: Path
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    address: str | None = None
    netns: str | None = None

    @property
    def argv(self) -> tuple[str, ...]:
        """The command with the way into its network namespace."""
        return (*into_netns(self.netns), *self.command)


class ProcessRecord(BaseModel):
    """A process that was started; `create_time` in seconds since 1970 tells reused ids apart.

    `part_of` names the process that started it and looks after it, where the lab did not.
    """

    model_config = ConfigDict(frozen=True)

    pid: int
    create_time: float
    command: tuple[str, ...]
    log: Path
    address: str | None = None
    part_of: str | None = None


def into_netns(netns: str | None) -> tuple[str, ...]:
    """The beginning of a command that runs in a network namespace; it keeps its process id."""
    return () if netns is None else ("nsenter", f"--net={NETNS_FOLDER / netns}", "--")


def start(spec: ProcessSpec) -> ProcessRecord:
    """Start the process in a session of its own, output appended to its log.

    Its files are readable by the owner only: Redis and Sentinel rewrite theirs, with passwords.
    """
    try:
        with private_log(spec.log) as log:
            child = subprocess.Popen(
                spec.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=spec.cwd,
                env=dict(spec.env),
                start_new_session=True,
                umask=0o077,
            )
        born = psutil.Process(child.pid).create_time()
    except OSError as error:
        raise LabError(f"cannot start {spec.name} at {spec.site}: {error}") from error
    _children[child.pid] = child
    return ProcessRecord(
        pid=child.pid,
        create_time=born,
        command=spec.command,
        log=spec.log,
        address=spec.address,
    )


def find(record: ProcessRecord) -> psutil.Process | None:
    """The running process of this record, or None when it has ended."""
    if _is_reused(record):
        return None
    try:
        process = psutil.Process(record.pid)
    except psutil.NoSuchProcess:
        return None
    return process if _runs(process) else None


def is_alive(record: ProcessRecord) -> bool:
    """Whether the process still runs (a paused one does)."""
    return find(record) is not None


def listens(record: ProcessRecord) -> bool:
    """Whether the process, or a child of it, listens at the record's address.

    An answer alone proves little: it may come from another program that has the port.
    """
    process = find(record)
    if process is None or record.address is None:
        return False
    host, _, port = record.address.rpartition(":")
    wanted = {(h, int(port)) for h in (host, ANY_HOST)}
    return any(wanted & listeners(member) for member in [process, *_descendants([process])])


def send(record: ProcessRecord, number: signal.Signals) -> bool:
    """Send a signal; False when the process has already ended."""
    process = find(record)
    if process is None:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)
    return True


def kill(record: ProcessRecord, *, family: bool = False) -> None:
    """End the process at once, as a crash does, and wait until it is gone.

    `family`: its children with it, in the same moment.
    """
    process = find(record)
    if process is None:
        return
    members = [process, *(_descendants([process]) if family else ())]
    for member in members:
        _signal(member, signal.SIGKILL)
    _wait(members, deadline_s=10.0)


def freeze(record: ProcessRecord) -> None:
    """Pause the process and its children, the process first: it starts no more of them."""
    _signal_family(record, signal.SIGSTOP)


def thaw(record: ProcessRecord) -> None:
    """Let a paused process and its children go on."""
    _signal_family(record, signal.SIGCONT)


def stop(records: Sequence[ProcessRecord], *, deadline_s: float = 15.0) -> None:
    """End the processes: TERM, wait, then KILL what remains of them.

    Their children are included, also those that outlived a process which ended earlier.
    """
    mains = [process for process in map(find, records) if process]
    family = [*mains, *_descendants(mains), *_session_members(records)]
    for process in mains:
        _signal(process, signal.SIGTERM)
        # A paused process takes no TERM before it goes on.
        _signal(process, signal.SIGCONT)
    _wait(mains, deadline_s=deadline_s)
    left = [process for process in family if _runs(process)]
    for process in left:
        _signal(process, signal.SIGKILL)
    still_there = _wait(left, deadline_s=10.0)
    if still_there:
        pids = ", ".join(str(process.pid) for process in still_there)
        raise LabError(f"these processes did not end: {pids}")


def ended_early(record: ProcessRecord, name: str) -> LabError:
    """The error for a process that ended although it should serve."""
    return LabError(f"{name} ended; the end of {record.log}:\n{tail(record.log)}")


def base_environment(venv_bin: Path) -> dict[str, str]:
    """This environment without settings meant for another box; the venv's programs come first."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TURTLE_")}
    kept["PATH"] = f"{venv_bin}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return kept


def _signal_family(record: ProcessRecord, number: signal.Signals) -> None:
    process = find(record)
    if process is not None:
        _signal(process, number)
        for member in _descendants([process]):
            _signal(member, number)


def _descendants(mains: Iterable[psutil.Process]) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in mains:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.extend(process.children(recursive=True))
    return found


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _session_members(records: Sequence[ProcessRecord]) -> list[psutil.Process]:
    """Processes in the sessions of these records, whether the leaders still live or not."""
    sessions = {record.pid for record in records if not _is_reused(record)}
    return [process for process in psutil.process_iter() if _session(process) in sessions]


def _is_reused(record: ProcessRecord) -> bool:
    """Whether the process id belongs to somebody else by now."""
    try:
        born = psutil.Process(record.pid).create_time()
    except psutil.NoSuchProcess:
        return False
    return abs(born - record.create_time) > SAME_BIRTH_S


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except OSError:
        return None


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _wait(processes: Sequence[psutil.Process], *, deadline_s: float) -> list[psutil.Process]:
    """Wait until all have ended; returns those that have not.

    One that has ended but that nobody has collected yet counts as ended: some containers'
    first process collects late or never.
    """
    with contextlib.suppress(NotReadyError):
        wait_until(lambda: not any(map(_runs, processes)), deadline_s=deadline_s, what="their end")
    for pid in [process.pid for process in processes]:
        child = _children.get(pid)
        if child is not None and child.poll() is not None:
            del _children[pid]
    return [process for process in processes if _runs(process)]
