"""Three sites, six directed links, and what each site sees of them."""

from functools import cache

from fleet.policy.matrix import Heard, Matrix, Row, Seen

SITES = ("dc1", "dc2", "dc3")
A, B, C = range(3)
LANS = (A, B)
LINKS = tuple((i, j) for i in range(3) for j in range(3) if i != j)
BIT = {pair: 1 << number for number, pair in enumerate(LINKS)}
ALL_UP = (1 << len(LINKS)) - 1
BOTH_ALIVE = 0b11


def isolated(site: int) -> int:
    """The bits of all links of a site."""
    return sum(bit for pair, bit in BIT.items() if site in pair)


def other(lan: int) -> int:
    return B if lan == A else A


def alive(lans: int, site: int) -> bool:
    """The control plane's site is never dead here: cut off says the same of it."""
    return site == C or bool(lans >> site & 1)


def hears(links: int, lans: int, i: int, j: int) -> bool:
    """Whether beats of `j` arrive at `i`."""
    return bool(links & BIT[j, i]) and alive(lans, i) and alive(lans, j)


def linked(links: int, lans: int, i: int, j: int) -> bool:
    """Both directions: what a connection needs."""
    return hears(links, lans, i, j) and hears(links, lans, j, i)


def path(links: int, lans: int, i: int, j: int) -> bool:
    """A connection, over the third site if need be."""
    if i == j:
        return alive(lans, i)
    third = 3 - i - j
    over = linked(links, lans, i, third) and linked(links, lans, third, j)
    return linked(links, lans, i, j) or over


@cache
def matrix(links: int, lans: int, me: int) -> Matrix:
    """The rows that reach `me`, directly or passed on by the third site, all fresh."""
    return {
        SITES[site]: Seen(_row(links, lans, site), 0.0)
        for site in range(3)
        if alive(lans, site) and (site == me or _reaches(links, lans, site, me))
    }


def _reaches(links: int, lans: int, site: int, me: int) -> bool:
    third = 3 - site - me
    passed_on = hears(links, lans, third, site) and hears(links, lans, me, third)
    return hears(links, lans, me, site) or passed_on


def _row(links: int, lans: int, site: int) -> Row:
    words = {SITES[j]: _heard(links, lans, site, j) for j in range(3) if j != site}
    return Row(site=SITES[site], seq=1, epoch=1, heard=words, sentinel={}, broker="ok")


def _heard(links: int, lans: int, i: int, j: int) -> Heard:
    third = 3 - i - j
    relayed = hears(links, lans, third, j) and hears(links, lans, i, third)
    public = linked(links, lans, i, j) if C in (i, j) else None
    heard = hears(links, lans, i, j)
    return Heard(heard=heard, relayed=relayed, https=public, silent_s=0.0 if heard else 10.0)
