"""Addresses for the lab's listeners: the usual ports where free, else others."""

import contextlib
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

from deploy.lab.errors import LabError
from deploy.render.addresses import FleetAddresses, HostPort, SiteAddresses
from deploy.topology import Site, Topology

REDIS_PORT = 6379
SENTINEL_PORT = 26379
AGENT_PORT = 8787
DEVICE_PORT = 8443
CONTROL_PORT = 8000
FLOWER_PORT = 5555
STANDBY_PORT = 8788
MACHINES_PORT = 4280

#: Below the range from which Linux and macOS take the ports of outgoing connections.
SPARE_PORTS = range(20_000, 32_000)


def site_host(number: int) -> str:
    """The loopback address of a site; 127.0.0.1 where the system has no other (macOS)."""
    host = f"127.0.{number}.1"
    return host if _can_bind(HostPort(host=host, port=0)) else "127.0.0.1"


def choose(
    topology: Topology, *, usual: bool, known: FleetAddresses | None = None
) -> FleetAddresses:
    """Free addresses for every listener.

    `usual`: prefer the well-known ports. `known`: prefer these, given out at an earlier start.
    """
    ports = _Ports(usual)
    sites = {
        site.name: _site_addresses(
            ports,
            site_host(site.number),
            has_device=has_device(site),
            has_standby=site.standby_box is not None,
            known=known.sites.get(site.name) if known else None,
        )
        for site in topology.sites
    }
    control = topology.control_site
    host = site_host(control.number)
    machines_before = known.machines if known else None
    return FleetAddresses(
        sites=sites,
        control=ports.take(host, CONTROL_PORT, known.control if known else None),
        flower=ports.take(host, FLOWER_PORT, known.flower if known else None),
        machines=ports.take(host, MACHINES_PORT, machines_before) if control.standby_box else None,
    )


def has_device(site: Site) -> bool:
    """Whether the lab simulates a device of the site."""
    return bool({"udm", "openwrt"} & set(site.capabilities))


def _site_addresses(
    ports: "_Ports",
    host: str,
    *,
    has_device: bool,
    has_standby: bool,
    known: SiteAddresses | None,
) -> SiteAddresses:
    device_before = known.device if known else None
    standby_before = known.standby if known else None
    return SiteAddresses(
        redis=ports.take(host, REDIS_PORT, known.redis if known else None),
        sentinel=ports.take(host, SENTINEL_PORT, known.sentinel if known else None),
        agent=ports.take(host, AGENT_PORT, known.agent if known else None),
        device=ports.take(host, DEVICE_PORT, device_before) if has_device else None,
        standby=ports.take(host, STANDBY_PORT, standby_before) if has_standby else None,
    )


class _Ports:
    """Gives out each address once."""

    def __init__(self, usual: bool) -> None:
        self.usual = usual
        self.taken: set[HostPort] = set()

    def take(self, host: str, usual_port: int, known: HostPort | None) -> HostPort:
        for address in self._candidates(host, usual_port, known):
            if address not in self.taken and _can_bind(address):
                self.taken.add(address)
                return address
        raise LabError(f"no free TCP port on {host}")

    def _candidates(self, host: str, usual_port: int, known: HostPort | None) -> Iterator[HostPort]:
        if known is not None and known.host == host:
            yield known
        if self.usual:
            yield HostPort(host=host, port=usual_port)
        for _ in range(200):
            yield HostPort(host=host, port=secrets.choice(SPARE_PORTS))


def _can_bind(address: HostPort) -> bool:
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        # Servers set it too: a port whose last connections are still closing counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError:
            return False
    return True


def read(path: Path) -> FleetAddresses:
    """The addresses of the last start; raises LabError where there was none."""
    try:
        return FleetAddresses.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LabError("the lab was not started yet; run: turtle lab up") from error
