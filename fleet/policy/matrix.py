"""What each site says of each other site, and which links that makes.

A site signs and sends one row; everybody keeps the newest row of each site with its age. An old
row says nothing: unknown, never "down".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from fleet.policy.rows import Heard, MalformedRowError, Row, row_from_json, to_json
from fleet.policy.timing import TIMING, Timing

__all__ = [
    "HTTPS_TRIES",
    "Heard",
    "Link",
    "MalformedRowError",
    "Matrix",
    "Row",
    "Seen",
    "fresh_row",
    "https_works",
    "link",
    "others",
    "row_from_json",
    "says",
    "to_json",
]

#: The public path counts as dead after this many missed tries.
HTTPS_TRIES = 4


@dataclass(frozen=True, slots=True)
class Seen:
    """A row and the seconds since it arrived (or was made, for one's own)."""

    row: Row
    age_s: float


Matrix = Mapping[str, Seen]


class Link(StrEnum):
    """A link between two sites, both directions taken together."""

    UP = "up"
    ONE_WAY = "one-way"
    DOWN = "down"
    UNKNOWN = "unknown"


def others(sites: Iterable[str], site: str) -> tuple[str, ...]:
    """The sites without `site`, in the order of their names."""
    return tuple(sorted(set(sites) - {site}))


def fresh_row(matrix: Matrix, site: str, timing: Timing = TIMING) -> Row | None:
    """The row of `site`, unless it is missing or too old to say anything."""
    seen = matrix.get(site)
    return seen.row if seen is not None and seen.age_s <= timing.row_fresh_s else None


def says(matrix: Matrix, i: str, j: str, timing: Timing = TIMING) -> Heard | None:
    """What the fresh row of `i` says of `j`, if anything."""
    row = fresh_row(matrix, i, timing)
    return None if row is None else row.heard.get(j)


#: By what the two ends say: heard, not heard, or nothing (no fresh row).
LINKS: dict[tuple[bool | None, bool | None], Link] = {
    (True, True): Link.UP,
    (True, False): Link.ONE_WAY,
    (False, True): Link.ONE_WAY,
    (False, False): Link.DOWN,
    # A silent end takes its rows with it: what the other end says is enough for "not up".
    (False, None): Link.DOWN,
    (None, False): Link.DOWN,
    # Without the echo nobody knows whether the other direction works.
    (True, None): Link.UNKNOWN,
    (None, True): Link.UNKNOWN,
    (None, None): Link.UNKNOWN,
}


def link(matrix: Matrix, i: str, j: str, timing: Timing = TIMING) -> Link:
    """The direct link between `i` and `j`: up only when both fresh rows say "heard"."""
    return LINKS[_hears(matrix, i, j, timing), _hears(matrix, j, i, timing)]


def _hears(matrix: Matrix, i: str, j: str, timing: Timing) -> bool | None:
    word = says(matrix, i, j, timing)
    return None if word is None else word.heard


def https_works(age_s: float | None, *, suspected: bool, timing: Timing = TIMING) -> bool:
    """Whether the public path counts as working `age_s` after its last beat.

    In calm times a LAN sends one every `https_beat_s`. As soon as phi is raised on its overlay
    link (by its own row or the other end's) it sends one every `beat_s`, so that a `suspected`
    site that still has its public path was heard there a moment ago.
    """
    limit_s = HTTPS_TRIES * timing.beat_s if suspected else timing.https_fresh_s
    return age_s is not None and age_s <= limit_s
