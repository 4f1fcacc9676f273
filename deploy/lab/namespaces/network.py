"""Make and remove the namespaces and links of a lab."""

import fcntl
import ipaddress
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.lab.errors import LabError
from deploy.lab.namespaces.commands import ip, require, run
from deploy.lab.namespaces.layout import BLOCKS, BRIDGE, LAN, OPERATOR, Layout, Names
from deploy.lab.processes import NETNS_FOLDER, into_netns
from deploy.render.addresses import FleetAddresses
from deploy.topology import Site, Topology

#: Two labs that start at the same time must not choose the same addresses.
LOCK = Path("/run/turtle-lab-network.lock")
LINKS = Path("/sys/class/net")
#: Faults are rules of this table, in each site's namespace; see deploy.lab.faults.rules.
TABLE = "table inet turtle { chain input { type filter hook input priority 0; policy accept; }; }"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The namespaces of one lab."""

    topology: Topology
    names: Names

    def make(self) -> FleetAddresses:
        """Make everything anew, with addresses that are free on this machine.

        Raises LabError where the system does not allow it, and then leaves nothing behind.
        """
        require()
        self.remove()
        with _alone():
            layout = Layout(_free_block())
            try:
                self._make(layout)
            except LabError:
                self.remove()
                raise
        return layout.addresses(self.topology, self.names)

    def remove(self) -> None:
        """Remove whatever is there; the links go with the namespaces."""
        for site in self.topology.sites:
            link = self.names.operator_link(site.number)
            # Not with its namespace: a process that is left over would keep that.
            if (LINKS / link).exists():
                ip("link", "del", link)
        for name in filter(self._there, self._namespaces()):
            ip("netns", "del", name)

    def _namespaces(self) -> tuple[str, ...]:
        return (*map(self.names.site, self.topology.names), self.names.switch)

    @staticmethod
    def _there(name: str) -> bool:
        return (NETNS_FOLDER / name).exists()

    def _make(self, layout: Layout) -> None:
        switch = self.names.switch
        ip("netns", "add", switch)
        ip("-n", switch, "link", "add", BRIDGE, "type", "bridge")
        ip("-n", switch, "link", "set", BRIDGE, "up")
        for site in self.topology.sites:
            self._add_site(site, layout)

    def _add_site(self, site: Site, layout: Layout) -> None:
        netns = self.names.site(site.name)
        ip("netns", "add", netns)
        ip("-n", netns, "link", "set", "lo", "up")
        self._link_to_switch(site, netns, layout)
        self._link_to_operator(site, netns, layout)
        run((*into_netns(netns), "nft", "-f", "-"), TABLE)

    def _link_to_switch(self, site: Site, netns: str, layout: Layout) -> None:
        switch, port = self.names.switch, self.names.port(site.number)
        ip("link", "add", LAN, "netns", netns, "type", "veth", "peer", port, "netns", switch)
        ip("-n", switch, "link", "set", port, "master", BRIDGE, "up")
        for address in (layout.overlay(site.number), layout.public(site.number)):
            ip("-n", netns, "address", "add", f"{address}/16", "dev", LAN)
        ip("-n", netns, "link", "set", LAN, "up")

    def _link_to_operator(self, site: Site, netns: str, layout: Layout) -> None:
        """This machine reaches all addresses of the site over it; other sites reach none."""
        mine, number = self.names.operator_link(site.number), site.number
        ip("link", "add", mine, "type", "veth", "peer", OPERATOR, "netns", netns)
        ip("-n", netns, "address", "add", f"{layout.operator(number)}/30", "dev", OPERATOR)
        ip("-n", netns, "link", "set", OPERATOR, "up")
        ip("address", "add", f"{layout.this_machine(number)}/30", "dev", mine)
        ip("link", "set", mine, "up")
        for address in (layout.overlay(number), layout.public(number)):
            ip("route", "add", f"{address}/32", "via", layout.operator(number))


@contextmanager
def _alone() -> Iterator[None]:
    with LOCK.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _free_block() -> int:
    """The first three neighbouring blocks of which this machine uses no address."""
    used = [network for route in _routes() if (network := _network(route)) is not None]
    for block in BLOCKS:
        wanted = [ipaddress.ip_network(f"10.{block + i}.0.0/16") for i in range(3)]
        if not any(a.overlaps(b) for a in wanted for b in used):
            return block
    raise LabError("no free addresses between 10.66.0.0 and 10.240.0.0 on this machine")


def _routes() -> list[str]:
    found = json.loads(ip("-json", "-4", "route", "show", "table", "all"))
    return [str(route["dst"]) for route in found]


def _network(destination: str) -> ipaddress.IPv4Network | None:
    """The network of a route; None for the default one, which every address would be in."""
    with suppress(ValueError):
        network = ipaddress.IPv4Network(destination)
        return network if network.prefixlen else None
    return None
