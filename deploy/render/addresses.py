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
    """The listeners of one site; `device` is the site's router, or its simulator in the lab."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    redis: HostPort
    sentinel: HostPort
    agent: HostPort
    device: HostPort | None = None


class FleetAddresses(BaseModel):
    """The listeners of all sites, and of the control plane."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sites: Mapping[str, SiteAddresses]
    control: HostPort
    flower: HostPort

    def sentinels_from(self, site: str) -> tuple[HostPort, ...]:
        """Every Sentinel, the own site's first: clients ask in this order."""
        own = self.sites[site].sentinel
        return (own, *(a.sentinel for name, a in self.sites.items() if name != site))
