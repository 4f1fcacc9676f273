"""The fault switch of what is simulated at a site: its device, or fly's Machines API."""

import sys
from dataclasses import dataclass

from deploy.lab.errors import LabError
from deploy.lab.faults.fleet import RunningFleet
from deploy.lab.faults.record import Fault, FaultKind
from deploy.lab.namespaces.commands import run
from deploy.lab.processes import into_netns
from deploy.lab.simulators import faults as device_faults
from deploy.lab.simulators.fly import faults as fly_faults
from deploy.render.addresses import HostPort

LONGEST_S = 86_400.0
OFF = "none"
#: The switch answers callers of its own machine only: this runs in the site's namespace.
_POST = """
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], data=sys.argv[2].encode(), method="POST")
urllib.request.urlopen(request, timeout=10).read()
"""
_Request = type[device_faults.FaultRequest] | type[fly_faults.FaultRequest]


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """Something simulated: where it answers, and in which ways it can fail."""

    address: HostPort
    modes: tuple[str, ...]
    request: _Request


def switch(fleet: RunningFleet, site: str, mode: str, for_s: float) -> Fault:
    """Let what is simulated at a site fail in one of its ways."""
    fleet.check_sites(site)
    if not 0 < for_s <= LONGEST_S:
        raise LabError("it can fail for more than 0 and at most 86400 s")
    _switch(fleet, site, mode, for_s)
    options: dict[str, float | str] = {"mode": mode, "for_s": for_s}
    return Fault(kind=FaultKind.API_ERRORS, where=(site,), options=options)


def off(fleet: RunningFleet, fault: Fault) -> None:
    """Let it work."""
    _switch(fleet, fault.where[0], OFF, 1.0)


def _switch(fleet: RunningFleet, site: str, mode: str, for_s: float) -> None:
    found = _simulated(fleet, site)
    if mode not in found.modes:
        raise LabError(f"no way to fail {mode!r} at {site}; there are: {', '.join(found.modes)}")
    body = found.request.model_validate({"mode": mode, "seconds": for_s}).model_dump_json()
    url = f"http://{found.address}/_sim/errors"
    netns = fleet.files.addresses.sites[site].netns
    run((*into_netns(netns), sys.executable, "-c", _POST, url, body))


def _simulated(fleet: RunningFleet, site: str) -> Simulated:
    addresses = fleet.files.addresses
    if device := addresses.sites[site].device:
        modes = tuple(map(str, device_faults.Mode))
        return Simulated(address=device, modes=modes, request=device_faults.FaultRequest)
    if site == fleet.topology.control_site.name and addresses.machines:
        modes = tuple(map(str, fly_faults.Mode))
        return Simulated(address=addresses.machines, modes=modes, request=fly_faults.FaultRequest)
    raise LabError(f"nothing is simulated at {site}")
