"""`lab.json`: what runs where, for people's scripts and for the lab itself."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from deploy.lab.driver import Driver
from deploy.lab.errors import LabError
from deploy.lab.files import private_folder, write_private
from deploy.lab.paths import LabPaths
from deploy.lab.processes import ProcessRecord, is_alive


class SiteState(BaseModel):
    """Addresses (`host:port`) and processes of one site."""

    model_config = ConfigDict(extra="forbid")

    redis: str
    sentinel: str
    agent: str
    netns: str | None = None
    processes: dict[str, ProcessRecord] = {}


class LabState(BaseModel):
    """The whole file; its schema is described in docs/lab.md."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    driver: Driver = Driver.LOOPBACK
    control_url: str
    api_url: str
    api_token: str
    read_token: str
    admin_user: str
    admin_password: str
    flower_url: str
    sites: dict[str, SiteState]

    def records(self) -> dict[tuple[str, str], ProcessRecord]:
        """Every process by site and name."""
        return {
            (site, name): record
            for site, state in self.sites.items()
            for name, record in state.processes.items()
        }

    def record(self, site: str, name: str) -> ProcessRecord | None:
        """A process if it was started and still runs."""
        found = self.sites[site].processes.get(name)
        return found if found is not None and is_alive(found) else None


def read_state(paths: LabPaths) -> LabState | None:
    """The state of the last start, or None where the lab was never started."""
    if not paths.lab_json.is_file():
        return None
    try:
        return LabState.model_validate_json(paths.lab_json.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise LabError(
            f"{paths.lab_json} is damaged ({error.error_count()} mistakes). "
            "End the processes that it names, then run: turtle lab clean"
        ) from error


def write_state(paths: LabPaths, state: LabState) -> None:
    """Store the state with mode 600: it holds tokens and the login."""
    write_private(paths.lab_json, state.model_dump_json(indent=2) + "\n")


@contextmanager
def lab_lock(paths: LabPaths) -> Iterator[None]:
    """Hold the lab for one command; raises LabError when another one has it."""
    private_folder(paths.root)
    with paths.lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LabError("another turtle lab command is at work here; wait for it") from error
        yield
