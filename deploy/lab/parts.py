"""The processes that `control` supervises by itself: web, loop, beat, agent, Flower."""

import json
from collections.abc import Mapping
from pathlib import Path

import psutil

from deploy.lab.processes import ProcessRecord
from deploy.lab.site_files import SiteFiles
from deploy.lab.state import LabState

SUPERVISOR = "control"
AGENT = "agent"
FLOWER = "flower"


def pids_file(state_dir: Path) -> Path:
    """Where the supervisor says which process is which; it starts ended ones again."""
    return state_dir / "control.pids.json"


def adopt(state: LabState, site: str, file: Path, addresses: Mapping[str, str]) -> LabState:
    """The state with the supervisor's parts as they are now, known by name.

    `addresses` of the parts that listen. Without a running supervisor there are none.
    """
    kept = {n: r for n, r in state.sites[site].processes.items() if r.part_of is None}
    supervisor = state.record(site, SUPERVISOR)
    parts = _parts(supervisor, file, addresses) if supervisor else {}
    new = state.sites[site].model_copy(update={"processes": kept | parts})
    return state.model_copy(update={"sites": state.sites | {site: new}})


def with_parts(files: SiteFiles, state: LabState) -> LabState:
    """The state with the parts of the control plane as they are now."""
    site = files.topology.control_site.name
    addresses = {
        "web": str(files.addresses.control),
        AGENT: str(files.addresses.sites[site].agent),
        FLOWER: str(files.addresses.flower),
    }
    return adopt(state, site, pids_file(files.paths.state(site)), addresses)


def _parts(
    supervisor: ProcessRecord, file: Path, addresses: Mapping[str, str]
) -> dict[str, ProcessRecord]:
    try:
        children = psutil.Process(supervisor.pid).children()
        named: dict[str, int] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, psutil.NoSuchProcess):
        # Just starting: the file comes with the first part, and is replaced with each other.
        return {}
    # Only its own children: the file may be left over from an earlier supervisor.
    born = {child.pid: child.create_time() for child in children if child.is_running()}
    return {
        name: supervisor.model_copy(
            update={
                "pid": pid,
                "create_time": born[pid],
                "address": addresses.get(name),
                "part_of": SUPERVISOR,
            }
        )
        for name, pid in named.items()
        if pid in born
    }
