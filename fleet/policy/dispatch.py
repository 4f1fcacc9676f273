"""To which queue a run is published, and for how many slots."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fleet.policy import routing
from fleet.policy.effects import EffectClass


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """One live worker: where it is, what it can do, how many tasks at a time, how many now."""

    site: str
    capabilities: frozenset[str]
    slots: int
    busy: int = 0


@dataclass(frozen=True, slots=True)
class Placement:
    """The queue to publish to, or None with the reason why the run stays in the ledger."""

    queue: str | None
    reason: str


def slots_for(queue: str, supply: Iterable[Supply]) -> int:
    """How many tasks of this queue could run at the same time."""
    return sum(s.slots for s in supply if routing.can_serve(s.capabilities, s.site, queue))


def place(capability: str, site: str, effect: EffectClass, supply: Sequence[Supply]) -> Placement:
    """Choose the queue for a run; `site` is "" when any site will do.

    A run of class D is pinned to the site with most free slots, so that only one journal can
    grant its claim; without a live worker it waits.
    """
    queue = routing.queue_name(capability, site or None)
    if site or not routing.must_pin(effect):
        return Placement(queue, f"queue {queue}")
    able = [s for s in supply if capability in s.capabilities]
    if not able:
        return Placement(None, f"no live worker has the capability {capability}")
    best = max(able, key=lambda s: (s.slots - s.busy, s.site))
    pinned = routing.queue_name(capability, best.site)
    return Placement(pinned, f"class D, pinned to {best.site}: {best.slots - best.busy} slots free")
