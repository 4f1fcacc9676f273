"""How each fault that is no packet filter is undone."""

from collections.abc import Callable, Mapping

from deploy.lab import processes
from deploy.lab.faults import clock, device, disk, link
from deploy.lab.faults.fleet import RunningFleet
from deploy.lab.faults.record import Fault, FaultKind

READY_WITHIN_S = 90.0
Undo = Callable[[RunningFleet, Fault], None]


def _start(fleet: RunningFleet, fault: Fault) -> None:
    site, process = fault.where
    fleet.start(site, process, ready_within_s=READY_WITHIN_S)


def _resume(fleet: RunningFleet, fault: Fault) -> None:
    site, process = fault.where
    for record in fleet.records(site, process).values():
        processes.thaw(record)


WHILE_IT_RUNS: Mapping[FaultKind, Undo] = {
    FaultKind.KILL: _start,
    FaultKind.STOP: _resume,
    FaultKind.SLOW_LINK: link.end,
    FaultKind.FILL_DISK: disk.free,
    FaultKind.SKEW_CLOCK: clock.right,
    FaultKind.API_ERRORS: device.off,
}
