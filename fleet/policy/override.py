"""A person says that sites are down, when the control plane hears nobody and cannot know.

The sites named are fenced: what they did in the meantime is not taken over when they return.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from fleet.policy.decision import Decision
from fleet.policy.verdict import Kind

SHORTEST_S = 60.0
#: A situation that lasts longer is looked at again, by a person.
LONGEST_S = 24 * 3600.0
#: Nobody hears a site of these kinds. In maintenance it is away by intention, so not among them.
NOT_HEARD = frozenset({Kind.DOWN, Kind.SUSPECT, Kind.UNKNOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`epoch` is the one the person saw; `typed` the names of the sites, typed a second time.

    `by` is who asks. It holds for `ttl_s` seconds.
    """

    epoch: int
    assert_down: tuple[str, ...]
    typed: tuple[str, ...]
    reason: str
    ttl_s: float
    by: str


def check(request: Request, current_epoch: int, kinds: Mapping[str, Kind]) -> Decision:
    """Whether the override may begin. `kinds` are the control plane's verdicts on all sites."""
    reasons = (
        _nothing(request),
        _unknown_sites(request, kinds),
        _typed(request),
        _unsigned(request),
        _length(request),
        _epoch(request, current_epoch),
        _heard(request, kinds),
    )
    refusal = next(filter(None, reasons), "")
    return Decision(not refusal, refusal or f"{_names(request.assert_down)} not heard by anybody")


def _nothing(request: Request) -> str:
    return "" if request.assert_down else "name the sites that are down, for example dc1,dc2"


def _unknown_sites(request: Request, kinds: Mapping[str, Kind]) -> str:
    unknown = [site for site in request.assert_down if site not in kinds]
    known = ", ".join(sorted(kinds))
    return f"there is no site {_names(unknown)}; the sites are {known}" if unknown else ""


def _typed(request: Request) -> str:
    if sorted(set(request.typed)) == sorted(set(request.assert_down)):
        return ""
    return f"type the names of the same sites again to confirm: {_names(request.assert_down)}"


def _unsigned(request: Request) -> str:
    if not request.reason.strip():
        return "give a reason: how do you know that the sites are down?"
    return "" if request.by.strip() else "say who asks"


def _length(request: Request) -> str:
    if math.isfinite(request.ttl_s) and SHORTEST_S <= request.ttl_s <= LONGEST_S:
        return ""
    return (
        f"an override lasts from {SHORTEST_S / 60:.0f} minute to {LONGEST_S / 3600:.0f} hours; "
        "give its length, for example --ttl 60m"
    )


def _epoch(request: Request, current_epoch: int) -> str:
    if request.epoch == current_epoch:
        return ""
    return f"the epoch is {current_epoch}, not {request.epoch}: look again at what has changed"


def _heard(request: Request, kinds: Mapping[str, Kind]) -> str:
    found = {site: kinds[site] for site in request.assert_down if site in kinds}
    heard = [f"{site} is {kind}" for site, kind in found.items() if kind not in NOT_HEARD]
    return f"{' and '.join(heard)}: a site that is heard is not down" if heard else ""


def _names(sites: tuple[str, ...] | list[str]) -> str:
    return ",".join(sites)
