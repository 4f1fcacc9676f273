"""Where each process of the fleet listens."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict


class HostPort(BaseModel):
    """An IP address and a TCP port. Sentinel needs literal addresses that every site reaches."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class SiteAddresses(BaseModel):
    """The listeners of one site; `device` is the site's router, or its simulator in the lab,
    `standby` the agent of the site's standby box.

    `public_host`: the site's address outside of the overlay. `netns`: the network namespace in
    which the addresses exist. Both are None where a site has no such thing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    redis: HostPort
    sentinel: HostPort
    agent: HostPort
    device: HostPort | None = None
    standby: HostPort | None = None
    public_host: str | None = None
    netns: str | None = None


class FleetAddresses(BaseModel):
    """The listeners of all sites, and of the control plane.

    `control`: where people reach the control plane; `control_for_boxes`: where the boxes do, if
    it is another address. With two it listens on all of its addresses. `machines`: where the
    lab answers fly's Machines API.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sites: Mapping[str, SiteAddresses]
    control: HostPort
    flower: HostPort
    control_for_boxes: HostPort | None = None
    machines: HostPort | None = None

    @property
    def control_from_boxes(self) -> HostPort:
        """The control plane as the boxes of the sites reach it."""
        return self.control_for_boxes or self.control

    @property
    def control_listens_at(self) -> HostPort:
        """Where the control plane's web server listens."""
        every = HostPort(host="0.0.0.0", port=self.control.port)  # noqa: S104 - meant
        return every if self.control_for_boxes else self.control

    def sentinels_from(self, site: str) -> tuple[HostPort, ...]:
        """Every Sentinel, the own site's first: clients ask in this order."""
        own = self.sites[site].sentinel
        return (own, *(a.sentinel for name, a in self.sites.items() if name != site))
