"""What runs in the lab right now."""

from dataclasses import asdict, dataclass
from typing import Any

import psutil

from deploy.lab.processes import find
from deploy.lab.state import LabState


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
    """One process; `memory_bytes` is its memory with its children's, shared pages once.

    Where the kernel does not tell the shared part (macOS), resident memory is added up instead.
    """

    site: str
    name: str
    pid: int
    alive: bool
    memory_bytes: int
    address: str | None
    log: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def statuses(state: LabState) -> list[ProcessStatus]:
    """Every process that the lab started, whether it still runs or not."""
    found = []
    supervisors = {(site, r.part_of) for (site, _), r in state.records().items() if r.part_of}
    for (site, name), record in sorted(state.records().items()):
        process = find(record)
        found.append(
            ProcessStatus(
                site=site,
                name=name,
                pid=record.pid,
                alive=process is not None,
                memory_bytes=_memory_bytes(process, alone=(site, name) in supervisors),
                address=record.address,
                log=str(record.log),
            )
        )
    return found


def _memory_bytes(process: psutil.Process | None, *, alone: bool) -> int:
    """`alone`: without the children, which have entries of their own."""
    if process is None:
        return 0
    if alone:
        return _own_bytes(process)
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return sum(map(_own_bytes, family))


def _own_bytes(process: psutil.Process) -> int:
    try:
        memory = process.memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(memory, "pss", memory.rss))
