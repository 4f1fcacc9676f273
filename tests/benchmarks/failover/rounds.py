"""One round: load, a master that goes, load, the master that comes back, the count."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from deploy.lab import processes
from deploy.lab.errors import NotReadyError
from deploy.lab.files import private_folder
from deploy.lab.history.records import History, read_history
from deploy.lab.processes import ProcessRecord
from deploy.lab.scenario.effect_files import KEPT, EffectFiles
from deploy.lab.scenario.witness import Witness
from deploy.lab.waiting import wait_until
from tests.benchmarks.failover import figures
from tests.benchmarks.failover.figures import Round
from tests.benchmarks.failover.ground import Ground, load
from tests.benchmarks.failover.switches import Switch, Switches

WARM_UP_S = 3.0
#: A task that began before the fault and is under way throughout.
LONG_TASK_S = 12.0
SWITCH_WITHIN_S = 40.0
#: How long the master stays away, and at least so long after the switch.
AWAY_S, AFTER_SWITCH_S = 15.0, 8.0
SETTLE_WITHIN_S = 60.0
PRODUCER_END_S = 15.0
ANSWER_WITHIN_S = 20.0


@dataclass
class Play:
    """Plays one round on the common ground."""

    ground: Ground
    switches: Switches
    kind: str
    rate_per_s: float
    number: int
    pause: threading.Event = field(default_factory=threading.Event)

    def run(self) -> Round:
        """All of it; raises LabError where the lab does not come to rest."""
        self.ground.calm()
        began = load()
        master = self.ground.stage.brokers.master()
        before = self.ground.pids()
        with self._producing():
            self._start_long_tasks()
            self.pause.wait(WARM_UP_S)
            self.ground.break_(self.kind, master)
            fault_s = time.monotonic()
            switch = self._await_switch(fault_s, master)
            pinged = self._stay_away(fault_s, switch)
            after = self.ground.stage.brokers.master_seen_by(self.ground.control) or ""
            mend_s = time.monotonic()
            self.ground.stage.mend_all()
            self.ground.calm()
        settled_s = self._settle()
        history = read_history(self.folder)
        ping = self.ground.ping()
        replaced = sorted(k for k, pid in before.items() if self.ground.pids().get(k) != pid)
        again = self.ground.published_again(switch.utc_s) if switch else []
        return Round(
            kind=self.kind,
            master_before=master,
            master_after=after,
            load=began,
            **self._times(history, fault_s, switch),
            accept_before_ms=figures.accept_ms(history, fault_s - WARM_UP_S, fault_s),
            accept_ms=figures.accept_ms(history, fault_s, mend_s),
            **figures.counted(history),
            published_again=len(again),
            published_again_within_s=round(max(again), 3) if again else None,
            processes_replaced=replaced,
            answered_ping_in_the_fault=sorted(pinged),
            answered_ping_after=sorted(ping),
            settled_after_s=settled_s,
        )

    # What happens

    @contextmanager
    def _producing(self) -> Iterator[None]:
        self.files.begin()
        out = self.folder / "witness" / "producer" / "accepted.jsonl"
        options = ("--out", str(out), "--prefix", self.prefix, "--rate", f"{self.rate_per_s:g}")
        spec = self.ground.at_control("producer", "tests.benchmarks.failover.producer", *options)
        record = processes.start(spec)
        try:
            self._await_effects(record)
            yield
        finally:
            processes.stop([record], deadline_s=PRODUCER_END_S)

    def _await_effects(self, producer: ProcessRecord) -> None:
        def flows() -> bool:
            if not processes.is_alive(producer):
                raise processes.ended_early(producer, "the producer")
            self.files.look()
            return bool(self.files.done)

        wait_until(flows, deadline_s=40.0, what="first effects before the fault", interval_s=0.2)

    def _start_long_tasks(self) -> None:
        """One at each site; they count among the accepted."""
        state = self.ground.state
        witness = Witness(self.folder / "witness" / "long" / "accepted.jsonl")
        for site in self.ground.worker_sites:
            key = f"{self.prefix}-long-{site}"
            answer = httpx.post(
                f"{state.api_url}/tasks",
                json={"task": "canary.effect_a", "args": [key, LONG_TASK_S], "site": site},
                headers={"Authorization": f"Bearer {state.api_token}"},
                timeout=ANSWER_WITHIN_S,
            ).raise_for_status()
            witness.write(
                id=answer.json()["id"], key=key, effect="A", by="api", monotonic_s=time.monotonic()
            )

    def _await_switch(self, fault_s: float, master: str) -> Switch | None:
        cut_off = master if self.kind == "cut" else ""
        try:
            return wait_until(
                lambda: self.switches.first_after(fault_s, but=cut_off),
                deadline_s=SWITCH_WITHIN_S,
                what="a new master",
            )
        except NotReadyError:
            return None

    def _stay_away(self, fault_s: float, switch: Switch | None) -> set[str]:
        """Until the end of the fault; asks the workers in between."""
        until_s = fault_s + AWAY_S
        if switch is not None:
            until_s = max(until_s, switch.monotonic_s + AFTER_SWITCH_S)
        self.pause.wait(max(0.0, (until_s - time.monotonic()) / 2))
        pinged = self.ground.ping()
        self.pause.wait(max(0.0, until_s - time.monotonic()))
        return pinged

    def _settle(self) -> float | None:
        """Seconds until everything accepted had taken effect."""
        began_s = time.monotonic()

        def all_done() -> bool:
            self.files.look()
            return self.files.done >= self.files.wanted.keys()

        try:
            wait_until(all_done, deadline_s=SETTLE_WITHIN_S, what="all effects", interval_s=0.2)
        except NotReadyError:
            return None
        return round(time.monotonic() - began_s, 1)

    # What it means

    def _times(self, history: History, fault_s: float, switch: Switch | None) -> dict[str, Any]:
        at_s = switch.monotonic_s if switch else fault_s
        first_s = figures.first_start_s(history, fault_s, at_s)
        return {
            "switch_after_fault_s": _since(fault_s, switch.monotonic_s if switch else None),
            "task_after_switch_s": _since(at_s, first_s) if switch else None,
            "task_after_fault_s": _since(fault_s, first_s),
            "longest_gap_s": figures.gap_s(history, fault_s),
        }

    @property
    def prefix(self) -> str:
        return f"{self.kind}{self.number:03d}"

    @property
    def folder(self) -> Path:
        return private_folder(self.ground.stage.paths.root / KEPT / self.prefix)

    @property
    def files(self) -> EffectFiles:
        if self._files is None:
            root = self.ground.stage.paths.root
            self._files = EffectFiles(root=root, folder=self.folder, prefix=self.prefix)
        return self._files

    _files: EffectFiles | None = None


def _since(zero_s: float, at_s: float | None) -> float | None:
    return None if at_s is None else round(at_s - zero_s, 3)
