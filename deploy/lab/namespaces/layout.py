"""Names and addresses of a lab in namespaces.

Each site has an overlay address (what WireGuard is between real sites) and a public one, both on
the same link to the other sites, and a link of its own to this machine, the operator's way.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from deploy.lab import ports
from deploy.render.addresses import FleetAddresses, HostPort, SiteAddresses
from deploy.topology import Site, Topology

#: Inside each site's namespace: to the other sites, and to this machine.
LAN = "lan0"
OPERATOR = "op0"
BRIDGE = "br0"
#: Three neighbouring blocks 10.N.0.0/16 a lab: overlay, public, operator.
FIRST_BLOCK = 66
BLOCKS = range(FIRST_BLOCK, 240, 3)


@dataclass(frozen=True, slots=True)
class Names:
    """The kernel's names of a lab's parts, told apart by the lab's folder; 15 letters at most."""

    root: Path

    @property
    def prefix(self) -> str:
        return f"tf{hashlib.sha256(str(self.root).encode()).hexdigest()[:6]}"

    @property
    def switch(self) -> str:
        """The namespace with the bridge to which all sites are linked."""
        return f"{self.prefix}-switch"

    def site(self, name: str) -> str:
        """The namespace of a site."""
        return f"{self.prefix}-{name}"

    def operator_link(self, number: int) -> str:
        """This machine's end of the operator's link to a site."""
        return f"{self.prefix}-o{number}"

    @staticmethod
    def port(number: int) -> str:
        """The switch's end of a site's link."""
        return f"p{number}"


@dataclass(frozen=True, slots=True)
class Layout:
    """The addresses of a lab, all within its three blocks."""

    block: int = FIRST_BLOCK

    def overlay(self, number: int) -> str:
        return f"10.{self.block}.{number}.1"

    def public(self, number: int) -> str:
        return f"10.{self.block + 1}.{number}.1"

    def operator(self, number: int) -> str:
        """The site's end of the operator's link."""
        return f"10.{self.block + 2}.{number}.2"

    def this_machine(self, number: int) -> str:
        """This machine's end of the operator's link."""
        return f"10.{self.block + 2}.{number}.1"

    def addresses(self, topology: Topology, names: Names) -> FleetAddresses:
        """Where everything listens: the usual ports, as nobody else is in the namespaces."""
        number = topology.control_site.number
        return FleetAddresses(
            sites={site.name: self._site(site, names) for site in topology.sites},
            control=HostPort(host=self.operator(number), port=ports.CONTROL_PORT),
            control_for_boxes=HostPort(host=self.public(number), port=ports.CONTROL_PORT),
            flower=HostPort(host=self.operator(number), port=ports.FLOWER_PORT),
            machines=self._machines(topology.control_site),
        )

    def _machines(self, site: Site) -> HostPort | None:
        host = self.operator(site.number)
        return HostPort(host=host, port=ports.MACHINES_PORT) if site.standby_box else None

    def _site(self, site: Site, names: Names) -> SiteAddresses:
        host = self.overlay(site.number)
        # A LAN's device is nobody else's: no other site reaches the operator's link.
        device = HostPort(host=self.operator(site.number), port=ports.DEVICE_PORT)
        return SiteAddresses(
            redis=HostPort(host=host, port=ports.REDIS_PORT),
            sentinel=HostPort(host=host, port=ports.SENTINEL_PORT),
            agent=HostPort(host=host, port=ports.AGENT_PORT),
            device=device if ports.has_device(site) else None,
            standby=HostPort(host=host, port=ports.STANDBY_PORT) if site.standby_box else None,
            public_host=self.public(site.number),
            netns=names.site(site.name),
        )
