"""A link between two sites that is slow, unsteady or loses packets."""

import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.lab import processes
from deploy.lab.errors import LabError
from deploy.lab.faults.fleet import RunningFleet
from deploy.lab.faults.record import Fault, FaultKind
from deploy.lab.faults.relay import READY
from deploy.lab.files import tail
from deploy.lab.namespaces.commands import ip
from deploy.lab.namespaces.layout import BRIDGE, Names
from deploy.lab.paths import REPOSITORY
from deploy.lab.processes import ProcessRecord, ProcessSpec, base_environment
from deploy.lab.waiting import wait_until

#: The two ends of the piece that is put between a site's port and the bridge.
TO_RELAY, TO_BRIDGE = "relay", "joint"
LONGEST_DELAY_MS = 60_000.0
READY_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slowness:
    """Milliseconds added to each packet, more by chance, and the share of packets lost.

    Raises LabError for numbers that no link can have.
    """

    delay_ms: float
    jitter_ms: float = 0.0
    loss: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.delay_ms <= LONGEST_DELAY_MS and 0 <= self.jitter_ms <= LONGEST_DELAY_MS):
            raise LabError("a packet can be late by 0 to 60000 ms")
        if not 0 <= self.loss <= 1:
            raise LabError("the share of lost packets is a number from 0 to 1")


def slow(
    fleet: RunningFleet, active: Iterable[Fault], slowness: Slowness, *, between: tuple[str, str]
) -> Fault:
    """Pass all of one site's packets through a program that holds back those of the link."""
    fleet.check_sites(*between)
    a, b = sorted(between)
    fleet.netns(a)
    site, peer = _ends(fleet.topology.names, a, b)
    for fault in active:
        if fault.kind is FaultKind.SLOW_LINK and fault.options["at"] == site:
            if fault.where != (a, b):
                raise LabError(f"{site} already has a slow link; heal first: {fault.id}")
            end(fleet, fault)
    helper = _start_relay(fleet, site, peer, slowness)
    options: dict[str, float | str] = {"at": site, **asdict(slowness)}
    return Fault(kind=FaultKind.SLOW_LINK, where=(a, b), options=options, helper=helper)


def end(fleet: RunningFleet, fault: Fault) -> None:
    """Join the site's port with the bridge again."""
    if fault.helper:
        processes.stop([fault.helper])
    names = Names(fleet.paths.root)
    port = names.port(fleet.topology.site(str(fault.options["at"])).number)
    ip("-n", names.switch, "link", "set", port, "master", BRIDGE)
    # The other end goes with it.
    ip("-n", names.switch, "link", "del", f"{TO_RELAY}-{port}")


def _ends(sites: tuple[str, ...], a: str, b: str) -> tuple[str, str]:
    """At which end the program sits, and the other one: so that three links need three ends."""
    a_is_before_b = (sites.index(b) - sites.index(a)) % len(sites) == 1
    return (a, b) if a_is_before_b else (b, a)


def _start_relay(fleet: RunningFleet, site: str, peer: str, slowness: Slowness) -> ProcessRecord:
    """Put a new piece of link before the bridge, and the program between it and the port."""
    names = Names(fleet.paths.root)
    port = names.port(fleet.topology.site(site).number)
    inner, outer = f"{TO_RELAY}-{port}", f"{TO_BRIDGE}-{port}"
    ip("-n", names.switch, "link", "add", inner, "type", "veth", "peer", outer)
    ip("-n", names.switch, "link", "set", outer, "master", BRIDGE, "up")
    ip("-n", names.switch, "link", "set", inner, "up")
    spec = _relay_spec(fleet, site, peer, slowness, (port, inner))
    spec.log.unlink(missing_ok=True)
    helper = processes.start(spec)
    _await_ready(helper)
    ip("-n", names.switch, "link", "set", port, "nomaster")
    return helper


def _await_ready(helper: ProcessRecord) -> None:
    """Until then packets take the old way."""

    def ready() -> bool:
        if not processes.is_alive(helper):
            raise processes.ended_early(helper, "slow-link")
        return READY in tail(helper.log)

    wait_until(ready, deadline_s=READY_WITHIN_S, what="the slow link")


def _relay_spec(
    fleet: RunningFleet, site: str, peer: str, slowness: Slowness, interfaces: tuple[str, str]
) -> ProcessSpec:
    places = fleet.files.addresses.sites[peer]
    log = fleet.paths.log(site, "slow-link")
    return ProcessSpec(
        site=site,
        name="slow-link",
        command=(
            *(sys.executable, "-m", "deploy.lab.faults.relay", *interfaces),
            *("--peers", ",".join(filter(None, (places.redis.host, places.public_host)))),
            *("--delay-ms", f"{slowness.delay_ms:g}", "--jitter-ms", f"{slowness.jitter_ms:g}"),
            *("--loss", f"{slowness.loss:g}"),
        ),
        log=log,
        cwd=REPOSITORY,
        env=base_environment(Path(sys.executable).parent),
        netns=Names(fleet.paths.root).switch,
    )
