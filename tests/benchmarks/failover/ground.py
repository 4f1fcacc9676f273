"""The lab that all rounds share: broken, mended, looked at."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
from rich.console import Console

from deploy.lab import processes
from deploy.lab.namespaces.commands import require
from deploy.lab.paths import REPOSITORY, LabPaths
from deploy.lab.plan import ProcessPlan
from deploy.lab.processes import ProcessRecord, ProcessSpec
from deploy.lab.progress import Progress
from deploy.lab.scenario.evidence import Ledger, keep
from deploy.lab.scenario.stage import Stage
from deploy.lab.state import LabState, lab_lock
from deploy.lab.waiting import wait_until
from deploy.topology import topology

KINDS = ("cut", "freeze", "kill")
CALM_WITHIN_S = 240.0
PING_TIMEOUT_S = 60.0
#: Everything but the brokers must outlive a failover as the same process.
BROKERS = ("redis", "sentinel")


@dataclass(frozen=True, slots=True)
class Ground:
    """Three sites in network namespaces with every process of the fleet."""

    stage: Stage

    # Breaking and mending

    def break_(self, kind: str, master: str) -> None:
        """Take the master away: its site's links, its Redis' time, or its Redis' life."""
        faults = self.stage.faults
        if kind == "cut":
            faults.cut_site(master)
        elif kind == "freeze":
            faults.stop(master, "redis")
        else:
            faults.kill(master, "redis")

    def calm(self) -> None:
        """Wait until all brokers are there, no site is on its way back, both workers answer."""
        self.stage.make_whole()
        wait_until(self.ledger.is_normal, deadline_s=CALM_WITHIN_S, what="the normal mode")
        wanted = set(self.worker_sites)
        wait_until(
            lambda: wanted <= self.ping(), deadline_s=CALM_WITHIN_S, what="an answer of each worker"
        )

    # Looking

    @property
    def worker_sites(self) -> tuple[str, ...]:
        return tuple(site.name for site in self.stage.topology.worker_sites)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.ledger_path)

    @property
    def ledger_path(self) -> Path:
        return self.stage.paths.root / self.control / "ledger.sqlite3"

    @property
    def control(self) -> str:
        return self.stage.topology.control_site.name

    def pids(self) -> dict[str, int]:
        """The processes that must survive: parts of the control plane and pools included."""
        found: dict[str, int] = {}
        for (site, name), record in self.stage.state.records().items():
            if name in BROKERS:
                continue
            alive = processes.find(record)
            found[f"{site}/{name}"] = alive.pid if alive else 0
            if name == "worker" and alive:
                found |= {f"{site}/{name}/pool/{pid}": pid for pid in _children(alive)}
        return found

    def ping(self) -> set[str]:
        """The sites whose workers answer `celery inspect ping`, asked at the control plane."""
        spec = self.at_control("inspect", "celery", "-A", "tasks", "inspect", "ping", "--json")
        done = subprocess.run(
            spec.argv,
            cwd=spec.cwd,
            env=dict(spec.env),
            capture_output=True,
            text=True,
            check=False,
            timeout=PING_TIMEOUT_S,
        )
        if done.returncode:  # nobody answered
            return set()
        return {name.partition("@")[2] for name in json.loads(done.stdout)}

    def published_again(self, since_utc_s: float) -> list[float]:
        """Seconds after that moment at which attempts went out for a second time or more."""
        since = datetime.fromtimestamp(since_utc_s, UTC).replace(tzinfo=None)
        with closing(sqlite3.connect(f"file:{self.ledger_path}?mode=ro", uri=True)) as connection:
            rows = connection.execute(
                "SELECT published_at FROM fleet_attempt"
                " WHERE times_published > 1 AND published_at >= ?",
                (since.isoformat(" "),),
            ).fetchall()
        return [(datetime.fromisoformat(row[0]) - since).total_seconds() for row in rows]

    # Programs of the control plane's box

    def at_control(self, name: str, module: str, *arguments: str) -> ProcessSpec:
        """A Python program with the control plane's configuration, in its namespace."""
        files = self.stage.fleet.files
        return ProcessSpec(
            site=self.control,
            name=name,
            command=(sys.executable, "-m", module, *arguments),
            log=self.stage.paths.log(self.control, name),
            cwd=REPOSITORY,
            env=ProcessPlan(files).environment(self.stage.topology.control_site),
            netns=files.addresses.sites[self.control].netns,
        )

    def restart_worker(self, site: str) -> ProcessRecord:
        """End the worker of a site, start it again without waiting for it, return the new one."""
        records = self.stage.fleet.records(site, "worker")
        processes.stop(list(records.values()))
        self.stage.fleet.start(site, "worker", ready_within_s=5.0)
        return self.stage.fleet.records(site, "worker")["worker"]

    @property
    def state(self) -> LabState:
        return self.stage.state


@contextmanager
def ground(folder: Path | None = None, logs: Path | None = None) -> Iterator[Ground]:
    """Start the lab; end and forget it, but for its logs, which are copied below `logs`.

    Raises LabError without root, ip, nft or nsenter.
    """
    require()
    root = folder or Path(tempfile.mkdtemp(prefix="turtle-failover-"))
    progress = Progress(Console(file=sys.stderr))
    stage = Stage(paths=LabPaths(root), topology=topology(), progress=progress)
    try:
        stage.up()
        yield Ground(stage)
    finally:
        if logs is not None:
            logs.mkdir(parents=True, exist_ok=True)
            keep(stage.paths, Ground(stage).ledger, logs)
        with lab_lock(stage.paths):
            stage._lab().clean()
        if folder is None:
            shutil.rmtree(root, ignore_errors=True)


def load() -> float:
    """Processes that want a core, over the last minute."""
    return round(os.getloadavg()[0], 1)


def _children(process: psutil.Process) -> list[int]:
    try:
        return [child.pid for child in process.children()]
    except psutil.NoSuchProcess:
        return []
