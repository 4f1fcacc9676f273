"""Matrices as three sites would hold them, for the tests of what is read from them."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from fleet.policy.matrix import Heard, Matrix, Row, Seen

SITES = ("dc1", "dc2", "dc3")
CONTROL = "dc3"
#: Every ordered pair: (from, to) is the way of a packet.
WAYS = tuple((i, j) for i in SITES for j in SITES if i != j)

#: The ways that work.
Open = frozenset[tuple[str, str]]
ALL_OPEN: Open = frozenset(WAYS)


def every_state() -> Iterator[Open]:
    """All 64 states of the six directed links."""
    for bits in product((True, False), repeat=len(WAYS)):
        yield frozenset(way for way, works in zip(WAYS, bits, strict=True) if works)


def name_of(state: Open) -> str:
    cut = [f"{i}>{j}" for i, j in WAYS if (i, j) not in state]
    return "cut " + " ".join(cut) if cut else "none cut"


def row(site: str, hears: Collection[str], public: Collection[str] = (), **own: Any) -> Row:
    """The row of a site that hears `hears`; `public` are the LANs whose public path works."""
    heard = {}
    for other in SITES:
        if other != site:
            lan = {site, other} - {CONTROL}
            https = None if len(lan) > 1 else lan <= set(public)
            heard[other] = Heard(heard=other in hears, https=https)
    return Row(site=site, seq=1, epoch=1, heard=heard, sentinel=dict.fromkeys(SITES, ""), **own)


def matrix_of(state: Open, public: Collection[str] = (), age_s: float = 0.0) -> dict[str, Seen]:
    """What somebody sees who has every site's row."""
    return {
        site: Seen(row(site, [i for i, j in state if j == site], public), age_s) for site in SITES
    }


def held_at(site: str, state: Open, public: Collection[str] = ()) -> dict[str, Seen]:
    """What `site` holds: rows come directly or through the third site, or grow old."""
    complete = matrix_of(state, public)
    return {
        other: seen if other in _heard_by(site, state) else replace(seen, age_s=60.0)
        for other, seen in complete.items()
    }


def with_row(matrix: Matrix, site: str, **changes: Any) -> dict[str, Seen]:
    seen = matrix[site]
    return {**matrix, site: replace(seen, row=replace(seen.row, **changes))}


def with_word(matrix: Matrix, i: str, j: str, **changes: Any) -> dict[str, Seen]:
    """The matrix in which the row of `i` says something else of `j`."""
    heard: Mapping[str, Heard] = matrix[i].row.heard
    return with_row(matrix, i, heard={**heard, j: replace(heard[j], **changes)})


def _heard_by(site: str, state: Open) -> set[str]:
    """The sites whose rows arrive at `site`, over any number of hops."""
    known = {site}
    for _ in SITES:
        known |= {i for i, j in state if j in known}
    return known
