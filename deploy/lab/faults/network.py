"""Put the packet filters of all sites into the state that the faults ask for."""

from collections.abc import Iterable

from deploy.lab.faults.fleet import RunningFleet
from deploy.lab.faults.record import Fault
from deploy.lab.faults.rules import rules
from deploy.lab.namespaces.commands import run
from deploy.lab.processes import into_netns


def apply(fleet: RunningFleet, faults: Iterable[Fault]) -> None:
    """Filter at each site as these faults say, and nothing else; one step a site."""
    for site, text in rules(faults, fleet.files.addresses).items():
        run((*into_netns(fleet.netns(site)), "nft", "-f", "-"), text)
