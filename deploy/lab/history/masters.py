"""Reigns of Redis masters from what they accepted, and whether two reigned at once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deploy.lab.history.records import Ack, History
from deploy.lab.history.violations import Rule, Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class Reign:
    """One master's time as its own answers prove it.

    A write was accepted somewhere between its sending and its answer, so the reign is certain
    from its first answer to its last sending.
    """

    site: str
    replication_id: str
    since_s: float
    until_s: float
    writes: int


def reigns(acks: Iterable[Ack], *, replicas: int = 0) -> list[Reign]:
    """The reigns that writes with at least so many replicas prove, by their beginning.

    A Redis takes a new replication id at each promotion, so a site that leads again has a
    second reign. Source: redis.io, "Replication", on replication ids.
    """
    found: dict[tuple[str, str], Reign] = {}
    for ack in acks:
        if ack.replicas < replicas:
            continue
        known = found.get((ack.site, ack.replication_id))
        found[ack.site, ack.replication_id] = Reign(
            site=ack.site,
            replication_id=ack.replication_id,
            since_s=min(ack.monotonic_s, known.since_s) if known else ack.monotonic_s,
            until_s=max(ack.sent_s, known.until_s) if known else ack.sent_s,
            writes=1 + (known.writes if known else 0),
        )
    return sorted(found.values(), key=lambda reign: reign.since_s)


def two_masters(history: History) -> Iterator[Violation]:
    """Reigns of different sites that overlap, by plain answers and by answers of WAIT 1."""
    for what, replicas in (("accepted writes", 0), ("acknowledged replicated writes", 1)):
        for first, second, seconds in overlaps(reigns(history.acks, replicas=replicas)):
            shown = (
                f"{first.site} and {second.site} both {what} for {seconds:.3f} s, "
                f"from {second.since_s:.3f} s"
            )
            yield Violation(Rule.TWO_MASTERS, f"{first.site} and {second.site}", shown)


def overlaps(found: list[Reign]) -> Iterator[tuple[Reign, Reign, float]]:
    """Each reign against the longest-lasting one of another site before it; seconds of overlap."""
    for index, second in enumerate(found):
        others = [one for one in found[:index] if one.site != second.site]
        if not others:
            continue
        first = max(others, key=lambda one: one.until_s)
        seconds = min(first.until_s, second.until_s) - second.since_s
        if seconds > 0:
            yield first, second, seconds
