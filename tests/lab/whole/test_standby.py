"""The standby's machine in the whole fleet: a real worker, started through the Machines API."""

import json
import threading
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from fleet.control.machines.client import FlyMachines
from fleet.control.machines.errors import MachineBusyError
from fleet.policy import routing
from tests.lab.whole.stage import Fleet, eventually

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

NODE = "standby-1@dc3"


class Standby:
    """The machine as the control plane is configured to reach it."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.folder = fleet.folder / "dc3" / "standby"
        text = fleet.lab.paths.config("dc3").read_text(encoding="utf-8")
        table = tomllib.loads(text)["control_plane"]["machines"]
        self.id: str = table["machine_id"]
        self.url: str = table["url"]
        self.client = FlyMachines(
            table["url"], table["app"], Path(table["token_file"]), stop=threading.Event()
        )

    def fault(self, mode: str) -> None:
        body = {"mode": mode, "seconds": 120}
        httpx.post(f"{self.url}/_sim/errors", json=body, trust_env=False).raise_for_status()

    def worker(self) -> dict[str, Any] | None:
        """What the control plane says of the standby's worker."""
        answer = self._fleet.api.get("/workers")
        assert answer.status_code == 200, answer.text
        return next((w for w in answer.json()["items"] if w["id"] == NODE), None)

    def parts(self) -> dict[str, psutil.Process]:
        """The machine's own processes by name."""
        file = self.folder / "state" / "standby.pids.json"
        named = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        return {name: psutil.Process(pid) for name, pid in named.items()}

    def stop(self) -> bool:
        """The control plane keeps an idle machine asleep and may be at it right now."""
        with suppress(MachineBusyError):
            self.client.stop(self.id)
        return self.client.get(self.id).state == "stopped"


@pytest.fixture
def standby(fleet: Fleet) -> Iterator[Standby]:
    found = Standby(fleet)
    yield found
    found.fault("none")
    eventually(found.stop, "the standby to end")
    found.client.close()


def test_a_started_machine_runs_a_worker_that_reports_until_it_is_stopped(standby: Standby) -> None:
    assert standby.client.get(standby.id).state in ("created", "stopped", "suspended")
    standby.client.start(standby.id)
    # Nobody needs it now: without this the control plane suspends it at once.
    standby.fault("stuck")
    worker = eventually(
        lambda: w if (w := standby.worker()) and w["liveness"] == "alive" else None,
        "the standby's worker to report",
        deadline_s=60,
    )
    assert (worker["site"], worker["box"]) == ("dc3", "standby-1")
    assert set(worker["capabilities"]) == set(routing.standby_capabilities())
    parts = standby.parts()
    assert set(parts) == {"agent", "worker"}
    standby.fault("none")
    eventually(standby.stop, "the standby to end")
    gone, alive = psutil.wait_procs(list(parts.values()), timeout=5)
    assert (len(gone), alive) == (2, [])
