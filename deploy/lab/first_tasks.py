"""A handful of real tasks, so that the first look at the dashboard shows work."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from deploy.lab.errors import LabError
from deploy.lab.state import LabState
from deploy.render.addresses import HostPort


@dataclass(frozen=True, slots=True)
class FirstTask:
    """A call of a task, pinned to a site where it needs that site's files or device."""

    task: str
    args: tuple[str | int, ...] = ()
    site: str | None = None

    def body(self) -> dict[str, Any]:
        """The body of `POST /tasks`."""
        body: dict[str, Any] = {"task": self.task, "args": list(self.args), "kwargs": {}}
        return body | ({"site": self.site} if self.site else {})


def first_tasks(control: HostPort, work: dict[str, Path]) -> list[FirstTask]:
    """What to try; `work` holds each site's folder with the example repositories.

    `control`: the control plane as the boxes reach it.
    """
    tasks = [
        FirstTask(task, (str(folder / name),), site)
        for site, folder in work.items()
        for task, name in (("dev.git_log", "example.git"), ("dev.git_status", "example"))
    ]
    return [
        *tasks,
        FirstTask("udm.gateway_health"),
        FirstTask("openwrt.system"),
        FirstTask("network.tcp_check", (control.host, control.port)),
    ]


def enqueue(state: LabState, tasks: list[FirstTask]) -> list[str]:
    """Enqueue through the API with the operator's token; returns the runs' ids.

    Raises LabError with the control plane's own words when one is refused.
    """
    headers = {"Authorization": f"Bearer {state.api_token}"}
    with httpx.Client(headers=headers, timeout=10.0) as client:
        return [_enqueue(client, f"{state.api_url}/tasks", task) for task in tasks]


def _enqueue(client: httpx.Client, url: str, task: FirstTask) -> str:
    try:
        answer = client.post(url, json=task.body())
    except httpx.HTTPError as error:
        raise LabError(f"the control plane took no task: {error}") from error
    if answer.status_code not in (200, 201, 202):
        raise LabError(f"{task.task} was refused ({answer.status_code}): {answer.text[:500]}")
    return str(answer.json()["id"])
