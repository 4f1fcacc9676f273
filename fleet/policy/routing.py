"""The only place where a queue name is spelled.

A queue is `<capability>` (any site that has it) or `<capability>.<site>` (pinned to one site).
"""

import difflib
import re
from collections.abc import Collection, Iterable

from fleet.policy.effects import EffectClass
from fleet.policy.errors import UnknownNameError

#: Capabilities that the fleet knows. A worker may declare any of them; tasks name one each.
CAPABILITIES: tuple[str, ...] = ("dev", "network", "openwrt", "standby", "udm")

#: Capabilities that stand for a device of a LAN; no box elsewhere can have them.
LAN_HARDWARE: tuple[str, ...] = ("openwrt", "udm")

_NAME = re.compile(r"^[a-z][a-z0-9-]{0,30}$")


def is_name(text: str) -> bool:
    """Whether `text` may name a site, a box or a capability."""
    return bool(_NAME.fullmatch(text))


def known(kind: str, name: str, names: Collection[str]) -> str:
    """Return `name` if it is among `names`; raise UnknownNameError with the near ones if not."""
    if name in names:
        return name
    near = tuple(difflib.get_close_matches(name, sorted(names), n=3, cutoff=0.5))
    raise UnknownNameError(kind, name, near, tuple(sorted(names)))


def queue_name(capability: str, site: str | None = None) -> str:
    """The queue of a capability, pinned to `site` when one is given."""
    return f"{capability}.{site}" if site else capability


def split_queue(queue: str) -> tuple[str, str | None]:
    """The capability and the pinned site (or None) of a queue's name."""
    capability, _, site = queue.partition(".")
    return capability, site or None


def parse_queue(queue: str, sites: Collection[str]) -> tuple[str, str | None]:
    """Check a queue that a caller named; returns capability and site.

    Raises UnknownNameError for a capability or site that is not known.
    """
    capability, site = split_queue(queue)
    known("queue", capability, CAPABILITIES)
    if site is not None:
        known("site", site, sites)
    return capability, site


def queues_of_worker(capabilities: Iterable[str], site: str) -> tuple[str, ...]:
    """The queues that a worker serves, pinned ones first: nobody else can take those."""
    caps = sorted(set(capabilities))
    return tuple([queue_name(c, site) for c in caps] + [queue_name(c) for c in caps])


def all_queues(sites: Iterable[str]) -> tuple[str, ...]:
    """Every queue that can exist for the given sites."""
    sites = sorted(sites)
    return tuple(
        name
        for capability in CAPABILITIES
        for name in (queue_name(capability), *(queue_name(capability, s) for s in sites))
    )


def standby_capabilities() -> tuple[str, ...]:
    """What a standby box away from the LANs can do: all that needs no LAN hardware."""
    return tuple(c for c in CAPABILITIES if c not in LAN_HARDWARE)


def can_serve(capabilities: Collection[str], worker_site: str, queue: str) -> bool:
    """Whether a worker with these capabilities at this site takes tasks from `queue`."""
    capability, site = split_queue(queue)
    return capability in capabilities and site in (None, worker_site)


def must_pin(effect: EffectClass) -> bool:
    """Whether a run must be published to one site's queue only.

    Class D is claimed in one site's journal and nowhere else: two journals could both grant
    the claim, and the task would start twice.
    """
    return effect is EffectClass.D
