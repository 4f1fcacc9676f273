"""Is each service of the lab really there? Asked the way its users ask."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

from deploy.lab.errors import LabError, NotReadyError
from deploy.lab.files import tail
from deploy.lab.processes import ProcessRecord, ended_early, is_alive, listens
from deploy.lab.state import LabState
from deploy.lab.waiting import wait_until

ASK_TIMEOUT_S = 3.0
ALIVE = "alive"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Waits for services; a process that ends or is late is named with the end of its log."""

    state: LabState
    deadline_s: float = 90.0

    def control(self, site: str) -> None:
        """The web answers."""
        self._wait_for_answer(site, "control", "/healthz")

    def agent(self, site: str) -> None:
        self._wait_for_answer(site, "agent", "/healthz")

    def simulator(self, site: str, name: str) -> None:
        """The device takes connections; without a login it answers with a refusal."""
        self._wait_for_answer(site, name, "/", any_status=True)

    def worker(self, site: str) -> None:
        """The control plane has heard that the site's worker lives."""
        pid = self.state.sites[site].processes["worker"].pid
        self._wait(site, "worker", lambda: worker_is_alive(self.workers(), site, pid))

    def workers(self) -> list[Mapping[str, object]]:
        """What the control plane says of the workers; empty when it does not answer."""
        try:
            answer = httpx.get(
                f"{self.state.api_url}/workers",
                headers={"Authorization": f"Bearer {self.state.read_token}"},
                timeout=ASK_TIMEOUT_S,
            )
            answer.raise_for_status()
        except httpx.HTTPError:
            return []
        body = answer.json()
        found: list[Mapping[str, object]] = body["items"] if isinstance(body, dict) else body
        return found

    def all_alive(self) -> None:
        """Nothing has ended since it was found ready; raises LabError for one that has."""
        for (site, name), record in self.state.records().items():
            _alive(record, f"{name} of {site}")

    def _wait_for_answer(
        self, site: str, name: str, path: str, *, any_status: bool = False
    ) -> None:
        record = self.state.sites[site].processes[name]
        url = f"http://{record.address}{path}"
        self._wait(site, name, lambda: listens(record) and answers(url, any_status=any_status))

    def _wait(self, site: str, name: str, probe: Callable[[], bool]) -> None:
        record = self.state.sites[site].processes[name]
        what = f"{name} of {site}"
        try:
            wait_until(
                lambda: _alive(record, what) and probe(),
                deadline_s=self.deadline_s,
                what=what,
                interval_s=0.2,
            )
        except NotReadyError as error:
            raise LabError(f"{error}; the end of {record.log}:\n{tail(record.log)}") from error


def answers(url: str, *, any_status: bool = False) -> bool:
    """Whether a GET is answered with 200, or with anything at all."""
    try:
        return httpx.get(url, timeout=ASK_TIMEOUT_S).status_code == 200 or any_status
    except httpx.HTTPError:
        return False


def worker_is_alive(workers: list[Mapping[str, object]], site: str, pid: int) -> bool:
    """Whether the list has the site's worker with this process id, and calls it alive."""
    return any(
        worker.get("site") == site
        and worker.get("liveness") == ALIVE
        and worker.get("pid") in (None, pid)
        for worker in workers
    )


def _alive(record: ProcessRecord, what: str) -> bool:
    if not is_alive(record):
        raise ended_early(record, what)
    return True
