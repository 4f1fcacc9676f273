"""The packet filter of each site, made from the faults that are on.

Packets are dropped where they arrive, silently: a sender notices nothing, as on a real cut. Only
the link to the other sites is filtered, never the operator's.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from deploy.lab.faults.record import Fault, FaultKind
from deploy.lab.namespaces.layout import LAN
from deploy.render.addresses import FleetAddresses, SiteAddresses

CHAIN = "inet turtle input"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """What a site does not get from another one: everything, or a part of it."""

    receiver: str
    sender: str
    overlay_only: bool = False
    port: int | None = None


def rules(faults: Iterable[Fault], addresses: FleetAddresses) -> Mapping[str, str]:
    """By site, the input of `nft` that replaces the site's rules by those for these faults."""
    sites = tuple(addresses.sites)
    found = [
        d for fault in faults if fault.kind in _DROPS for d in _DROPS[fault.kind](fault, sites)
    ]
    return {
        site: "\n".join(
            (
                f"flush chain {CHAIN}",
                *(_rule(d, addresses.sites[d.sender]) for d in found if d.receiver == site),
                "",
            )
        )
        for site in sites
    }


def _rule(drop: Drop, sender: SiteAddresses) -> str:
    hosts = (sender.redis.host, None if drop.overlay_only else sender.public_host)
    source = f"ip saddr {{ {', '.join(filter(None, hosts))} }}"
    port = f"meta l4proto {{ tcp, udp }} th dport {drop.port} " if drop.port else ""
    return f'add rule {CHAIN} iifname "{LAN}" {source} {port}drop'


def _both_ways(a: str, b: str, *, overlay_only: bool = False) -> list[Drop]:
    return [Drop(receiver=x, sender=y, overlay_only=overlay_only) for x, y in ((a, b), (b, a))]


def _cut_site(fault: Fault, sites: tuple[str, ...]) -> list[Drop]:
    (site,) = fault.where
    return [drop for other in sites if other != site for drop in _both_ways(site, other)]


def _cut_link(fault: Fault, sites: tuple[str, ...]) -> list[Drop]:
    return _both_ways(*fault.where)


def _cut_oneway(fault: Fault, sites: tuple[str, ...]) -> list[Drop]:
    sender, receiver = fault.where
    return [Drop(receiver=receiver, sender=sender)]


def _cut_overlay(fault: Fault, sites: tuple[str, ...]) -> list[Drop]:
    return _both_ways(*fault.where, overlay_only=True)


def _block_port(fault: Fault, sites: tuple[str, ...]) -> list[Drop]:
    site, port = fault.where
    return [Drop(receiver=site, sender=other, port=int(port)) for other in sites if other != site]


_DROPS: Mapping[FaultKind, Callable[[Fault, tuple[str, ...]], list[Drop]]] = {
    FaultKind.CUT_SITE: _cut_site,
    FaultKind.CUT_LINK: _cut_link,
    FaultKind.CUT_ONEWAY: _cut_oneway,
    FaultKind.CUT_OVERLAY: _cut_overlay,
    FaultKind.BLOCK_PORT: _block_port,
}
NETWORK_KINDS = frozenset(_DROPS)
