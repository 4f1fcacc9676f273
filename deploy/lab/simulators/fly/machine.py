"""A machine: its states as fly's, its process as real as any."""

import json
import os
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition, Event, Thread

import psutil
from pydantic import BaseModel, JsonValue, ValidationError

from deploy.lab import processes
from deploy.lab.files import private_folder, private_log, write_private
from deploy.lab.processes import ProcessRecord
from deploy.lab.simulators.fly.faults import FlyFaults, Mode
from deploy.lab.simulators.fly.guest import Guest, boot
from deploy.lab.simulators.fly.refusal import Refusal

CREATED, STOPPED, FAILED, SUSPENDED = "created", "stopped", "failed", "suspended"
STARTING, STARTED, STOPPING, SUSPENDING = "starting", "started", "stopping", "suspending"
EVENTS_KEPT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineShape:
    """What a machine is, and how long its changes take, seconds."""

    id: str
    app: str
    name: str
    region: str
    folder: Path
    command: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    boot_s: float = 1.0
    resume_s: float = 0.3
    suspend_s: float = 0.3
    kill_after_s: float = 15.0


class Stored(BaseModel):
    """What is remembered of a machine while no simulator runs."""

    state: str = CREATED
    instance_id: str = ""
    guest: ProcessRecord | None = None
    events: list[dict[str, JsonValue]] = []


class Machine:
    """One machine. Calls return at once; a thread does what they ask for."""

    def __init__(self, shape: MachineShape, faults: FlyFaults) -> None:
        self.shape = shape
        self._faults = faults
        self._changed = Condition()
        self._closing = Event()
        self._file = private_folder(shape.folder) / f"{shape.id}.json"
        self._stored = _read(self._file)
        if not self._stored.instance_id:
            self._stored.instance_id = secrets.token_hex(13).upper()
        self._guest: Guest | None = None
        self._find_again()

    @property
    def state(self) -> str:
        """What it really is, whatever the API tells."""
        return self._stored.state

    @property
    def instance_id(self) -> str:
        return self._stored.instance_id

    def start(self) -> str:
        """Start or resume it; returns the state before."""
        return self._begin(
            "start", (CREATED, STOPPED, FAILED, SUSPENDED), STARTING, (STARTED,), self._start
        )

    def stop(self) -> str:
        """End what runs in it; a suspended one loses its snapshot."""
        from_states = (STARTED, SUSPENDED, FAILED, CREATED, STARTING, SUSPENDING)
        return self._begin("stop", from_states, STOPPING, (STOPPED, STOPPING), self._stop)

    def suspend(self) -> str:
        """Freeze what runs in it."""
        return self._begin("suspend", (STARTED,), SUSPENDING, (SUSPENDED,), self._suspend)

    def wait(self, state: str, timeout_s: float) -> bool:
        """Whether it got into the state in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._stored.state == state, timeout_s)

    def guest_pid(self) -> int | None:
        """The process that runs in it, frozen or not."""
        guest = self._guest
        return None if guest is None or guest.ended.is_set() else guest.record.pid

    def as_json(self) -> dict[str, JsonValue]:
        """The machine as the API tells it, but for a lie about its state."""
        shape, stored = self.shape, self._stored
        guest: JsonValue = {"cpu_kind": "performance", "cpus": 1, "memory_mb": 2048}
        init: JsonValue = {"exec": [*shape.command]}
        return {
            "id": shape.id,
            "name": shape.name,
            "state": stored.state,
            "region": shape.region,
            "instance_id": stored.instance_id,
            "private_ip": "",
            "config": {"init": init, "guest": guest},
            "events": [*reversed(stored.events)],
        }

    def close(self) -> None:
        """End what runs in it, and all waiting; nothing begins after that."""
        with self._changed:
            self._closing.set()
            guest = self._guest
            runs = guest is not None and not guest.ended.is_set()
            if runs:
                self._become(STOPPING, "stop")
        if runs:
            self._stop()

    def _begin(
        self,
        action: str,
        allowed: tuple[str, ...],
        going: str,
        done: tuple[str, ...],
        work: Callable[[], None],
    ) -> str:
        with self._changed:
            before = self._stored.state
            if self._closing.is_set():
                raise Refusal(503, "the API is shutting down")
            if before in done:
                return before
            if before not in allowed:
                reason = f"unable to {action} machine from current state: '{before}'"
                raise Refusal(412, f"failed_precondition: {reason}")
            if self._faults.on(Mode.STUCK):
                return before
            self._become(going, action, "user")
        Thread(target=work, name=action, daemon=True).start()
        return before

    def _start(self) -> None:
        self._take_time(self.shape.resume_s if self.guest_pid() else self.shape.boot_s)
        with self._changed:
            guest = self._guest
            if self._stored.state != STARTING:
                return  # it was told to stop meanwhile
            if self._closing.is_set():
                self._become(STOPPED, "exit")
            elif self._faults.on(Mode.FAIL_START):
                self._become(FAILED, "launch_failed")
            elif guest is not None and not guest.ended.is_set():
                guest.thaw()
                self._become(STARTED, "resume")
            else:
                self._boot()

    def _boot(self) -> None:
        shape = self.shape
        log = shape.folder / f"{shape.id}.log"
        try:
            record = boot(shape.command, log=log, cwd=shape.cwd, env=shape.env)
        except OSError as error:
            self._become(FAILED, "launch_failed", reason=str(error))
            return
        self._stored.guest = record
        self._become(STARTED, "start")
        self._guest = Guest(record, self._on_exit)

    def _stop(self) -> None:
        self._take_time(0.0)
        guest = self._guest
        if guest is not None:
            guest.end(kill_after_s=self.shape.kill_after_s)
        with self._changed:
            self._stored.guest = None
            self._become(STOPPED, "exit", requested_stop=True)

    def _suspend(self) -> None:
        self._take_time(self.shape.suspend_s)
        with self._changed:
            guest = self._guest
            if guest is None or self._stored.state != SUSPENDING:
                return  # it ended meanwhile, or was told to stop
            guest.freeze()
            self._become(SUSPENDED, "suspend")

    def _on_exit(self, guest: Guest, code: int | None) -> None:
        """Nobody starts it again: a standby works when it is told to."""
        with self._changed:
            # What ends while it is being resumed is started anew.
            told = self._stored.state in (STOPPING, STOPPED, STARTING)
            if guest is self._guest and not told:
                self._stored.guest = None
                self._become(STOPPED, "exit", exit_code=code, requested_stop=False)

    def _take_time(self, usual_s: float) -> None:
        self._closing.wait(usual_s + self._faults.delay_s(Mode.SLOW_START))

    def _become(self, state: str, event: str, source: str = "flyd", **more: JsonValue) -> None:
        """Take the state, remember it, tell those who wait; needs the lock."""
        at_ms = time.time_ns() // 1_000_000
        line: dict[str, JsonValue] = {
            "type": event,
            "status": state,
            "source": source,
            "timestamp": at_ms,
            **({"request": more} if more else {}),
        }
        self._stored.state = state
        self._stored.events = [*self._stored.events, line][-EVENTS_KEPT:]
        write_private(self._file, self._stored.model_dump_json() + "\n")
        with private_log(self.shape.folder / "machines.jsonl") as log:
            log.write(json.dumps({"machine": self.shape.id, **line}).encode() + b"\n")
        self._changed.notify_all()

    def _find_again(self) -> None:
        """What an earlier simulator left running is this machine's; what it left half done is
        finished by looking at the process."""
        with self._changed:
            record = self._stored.guest
            alive = record is not None and processes.is_alive(record)
            if record is not None and alive:
                state = SUSPENDED if _is_frozen(record.pid) else STARTED
                self._guest = Guest(record, self._on_exit)
            else:
                state = self._stored.state if self._stored.state in (CREATED, FAILED) else STOPPED
                self._stored.guest = None
            self._become(state, "found")


def _is_frozen(pid: int) -> bool:
    with suppress(psutil.Error):
        return str(psutil.Process(pid).status()) == psutil.STATUS_STOPPED
    return False


def _read(file: Path) -> Stored:
    try:
        return Stored.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return Stored()


def machine_environment(config: Path | None = None) -> dict[str, str]:
    """This process's environment, with the machine's own configuration where one is named."""
    return {**os.environ, **({"TURTLE_CONFIG": str(config)} if config else {})}
