"""A real fleet for tests: every process of the lab, on free ports, in a temporary folder."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from deploy.lab import processes
from deploy.lab.lifecycle import Lab
from deploy.lab.plan import ProcessPlan
from deploy.lab.processes import ProcessSpec
from deploy.lab.secret_files import SecretFiles
from deploy.lab.site_files import SiteFiles
from deploy.lab.state import LabState
from deploy.render.addresses import FleetAddresses

T = TypeVar("T")
REPOSITORY = Path(__file__).resolve().parents[3]
FINISHED = {"SUCCESSFUL", "FAILED", "CANCELLED", "DEAD"}


def eventually(
    look: Callable[[], T | None], what: str, deadline_s: float = 30.0, every_s: float = 0.05
) -> T:
    """The first true answer of `look`; fails the test when there is none in time."""
    deadline = time.monotonic() + deadline_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {deadline_s} s (last answer: {found!r})")
        time.sleep(every_s)


@dataclass
class Fleet:
    """The running fleet, and what a test does with it."""

    lab: Lab
    state: LabState
    api: httpx.Client

    @property
    def folder(self) -> Path:
        return self.lab.paths.root

    # Using it

    def enqueue(self, task: str, *args: Any, status: int = 201, **options: Any) -> dict[str, Any]:
        """POST /tasks; returns the answer's body."""
        answer = self.api.post("/tasks", json={"task": task, "args": list(args), **options})
        assert answer.status_code == status, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def run(self, run_id: str) -> dict[str, Any]:
        answer = self.api.get(f"/tasks/{run_id}")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def finished(self, run_id: str, deadline_s: float = 30.0) -> dict[str, Any]:
        """Wait for the run's end; returns it."""
        return eventually(
            lambda: run if (run := self.run(run_id))["status"] in FINISHED else None,
            f"run {run_id} to finish",
            deadline_s,
        )

    def reaches(self, run_id: str, status: str, deadline_s: float = 30.0) -> dict[str, Any]:
        """Wait until the run has this status; returns it."""
        return eventually(
            lambda: run if (run := self.run(run_id))["status"] == status else None,
            f"run {run_id} to be {status}",
            deadline_s,
        )

    def python(self, site: str, code: str, *, interpreter: str = sys.executable) -> Any:
        """Run Python code with a site's configuration; its last line is JSON: returned."""
        done = subprocess.run(
            [interpreter, "-c", code],
            cwd=REPOSITORY,
            env=self.environment(site),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.strip().splitlines()[-1])

    def inspect(self, command: str) -> str:
        """What the workers answer to `celery inspect`, as JSON text."""
        site = self.lab.topology.control_site
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "celery",
                "-A",
                "tasks",
                "inspect",
                command,
                "--json",
                "--timeout",
                "10",
            ],
            cwd=REPOSITORY,
            env=self.environment(site.name),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def django(self, code: str) -> Any:
        """Run Python code in the control plane's Django; its last line is JSON: returned."""
        return self.python("dc3", f"import django, json; django.setup()\n{code}")

    def security_events(self) -> list[dict[str, str]]:
        """What workers refused, newest first."""
        found: list[dict[str, str]] = self.django(
            "from fleet.models import SecurityEvent\n"
            "print(json.dumps(list(SecurityEvent.objects.values('kind', 'run_id', 'site'))))"
        )
        return found

    # Breaking it

    def environment(self, site: str) -> dict[str, str]:
        plan = self.plan()
        return plan.environment(self.lab.topology.site(site))

    def plan(self) -> ProcessPlan:
        addresses = FleetAddresses.model_validate_json(
            self.lab.paths.addresses.read_text(encoding="utf-8")
        )
        return ProcessPlan(
            SiteFiles(
                paths=self.lab.paths,
                topology=self.lab.topology,
                addresses=addresses,
                secrets=SecretFiles(self.lab.paths.secrets),
            )
        )

    def stop(self, site: str, name: str) -> None:
        """End a process as a crash does."""
        record = self.state.sites[site].processes.pop(name)
        processes.stop([record])

    def kill(self, site: str, name: str) -> None:
        processes.kill(self.state.sites[site].processes.pop(name))

    def start(self, spec: ProcessSpec) -> None:
        self.state.sites[spec.site].processes[spec.name] = processes.start(spec)

    def start_again(self) -> None:
        """What `make up` does: start what does not run, wait until all of it serves."""
        self.state = self.lab.up()


def task_processes(fleet: Fleet, site: str, run_id: str) -> int:
    """The pid of the worker process that has the run's claim."""
    import sqlite3

    def look() -> int | None:
        path = next((fleet.folder / site).rglob("journal.sqlite3"))
        with sqlite3.connect(path) as connection:
            row = connection.execute(
                "SELECT pid FROM claim WHERE run_id = ? AND status = 'RUNNING'", (run_id,)
            ).fetchone()
        return None if row is None else int(row[0])

    return eventually(look, f"a claim of {run_id} at {site}")
