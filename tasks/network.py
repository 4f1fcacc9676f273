"""Checks of services and links, made from the box that runs them. They change nothing."""

from pydantic import JsonValue

from fleet.policy import routing
from fleet.policy.effects import EffectClass
from fleet.policy.errors import ConfigurationError
from probes import network
from tasks.base import fleet_task
from tasks.settings import settings


@fleet_task(capability="network", effect=EffectClass.A, time_limit_s=60, soft_time_limit_s=50)
def tcp_check(host: str, port: int, timeout_s: float = 5.0) -> dict[str, JsonValue]:
    """Connect to a TCP port and measure how long that takes."""
    return network.tcp_check(host, port, timeout_s)


@fleet_task(capability="network", effect=EffectClass.A, time_limit_s=60, soft_time_limit_s=50)
def http_check(
    url: str, method: str = "HEAD", timeout_s: float = 10.0, verify: bool = True
) -> dict[str, JsonValue]:
    """Ask an HTTP or HTTPS URL: status, time, days until the certificate expires.

    Link-local and metadata addresses (169.254.0.0/16, fe80::/10) are refused: services there
    give credentials of the box to whoever asks from it, and a caller must not get at those.
    """
    return network.http_check(url, method, timeout_s, verify)


@fleet_task(capability="network", effect=EffectClass.A, time_limit_s=60, soft_time_limit_s=50)
def dns_check(
    name: str, record_type: str = "A", nameserver: str | None = None, timeout_s: float = 5.0
) -> dict[str, JsonValue]:
    """Look up a name: answers, time to live, and how long that takes."""
    return network.dns_check(name, record_type, nameserver, timeout_s)


@fleet_task(capability="network", effect=EffectClass.A, time_limit_s=90, soft_time_limit_s=80)
def link_latency(peer: str, count: int = 5, timeout_s: float = 1.0) -> dict[str, JsonValue]:
    """Measure the link to another site: latencies of TCP connects, and loss.

    `peer` is a site whose address the box's configuration gives in [peers].
    """
    host, _, port = _peer_address(peer).rpartition(":")
    return {"peer": peer, **network.link_latency(host.strip("[]"), int(port), count, timeout_s)}


def _peer_address(peer: str) -> str:
    configured = settings()
    if peer in configured.peers:
        return configured.peers[peer]
    routing.known("site", peer, configured.sites)
    raise ConfigurationError(
        f"this box knows no address of {peer}; add to turtle.toml, for example:\n"
        f'[peers]\n{peer} = "10.2.0.2:8787"'
    )
