"""The matrix of scenarios: 8 cuts x 3 kinds x 2 masters x 2 loads x orders of healing."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from deploy.lab.ports import REDIS_PORT
from deploy.lab.scenario.script import MEND_ALL, Act, Expected, Op, Scenario, break_, mend, wait

LANS = ("dc1", "dc2")
CONTROL = "dc3"
SITES = (*LANS, CONTROL)
KINDS = ("crash", "cut", "oneway")
LOADS = {"idle": 1.0, "loaded": 8.0}

#: Below Sentinel's down-after of 5 s: nothing may move.
EARLY_S = 3.0
#: Sentinel's own clockwork, which no time scale shrinks: down-after, vote, promotion.
BROKER_S = 12.0
#: Detection, confirmation, lease, start of the standby, with the worst that is allowed.
STANDBY_S = 48.0
#: A lease runs out within its 30 s.
LEASE_S = 33.0


@dataclass(frozen=True, slots=True)
class Cut:
    """One of the eight ways in which three sites can fall apart.

    `links`: which do not pass. `alone`: the site that is cut off by that, if it is one.
    """

    name: str
    links: tuple[tuple[str, str], ...]
    alone: str = ""


_LINKS = tuple(itertools.combinations(SITES, 2))
CUTS = (
    Cut("no-link", ()),
    *(Cut(f"{a}-{b}-link", ((a, b),)) for a, b in _LINKS),
    *(Cut(f"{s}-alone", tuple(k for k in _LINKS if s in k), s) for s in SITES),
    Cut("all-links", _LINKS),
)


def ops(cut: Cut, kind: str, master: str) -> tuple[Op, ...]:
    """The faults of a cut in a kind.

    Without a link to cut: the master's Redis crashes, its port is blocked, or the overlay
    between the LANs is gone while public addresses answer. A crash beside a single link takes
    agent and worker at its first end.
    """
    if not cut.links:
        return (_WITHOUT_LINKS[kind](master),)
    if kind == "cut":
        return tuple(Op("cut_link", link) for link in cut.links)
    if kind == "oneway":
        return tuple(Op("cut_oneway", way) for way in _ways(cut))
    return _crashes(cut)


_WITHOUT_LINKS = {
    "crash": lambda master: Op("kill", (master, "redis")),
    "cut": lambda master: Op("block_port", (master, str(REDIS_PORT))),
    "oneway": lambda master: Op("cut_overlay", LANS),
}


def _ways(cut: Cut) -> tuple[tuple[str, str], ...]:
    """A site alone is mute; all links fail in a circle, so that each site is half heard."""
    if cut.alone:
        return tuple((cut.alone, b if a == cut.alone else a) for a, b in cut.links)
    if len(cut.links) == 1:
        return cut.links
    return tuple(itertools.pairwise((*SITES, SITES[0])))


def _crashes(cut: Cut) -> tuple[Op, ...]:
    if cut.alone:
        return (Op("kill", (cut.alone, "all")),)
    if len(cut.links) > 1:
        return tuple(Op("kill", (site, "all")) for site in SITES)
    (first, second) = cut.links[0]
    crash = tuple(Op("kill", (first, process)) for process in ("agent", "worker"))
    return (Op("cut_link", (first, second)), *crash)


def scenarios() -> Iterator[Scenario]:
    """All of them, those with the same master together: moving it takes time."""
    for master, cut, kind, load in itertools.product(LANS, CUTS, KINDS, LOADS):
        for order in orders(ops(cut, kind, master)):
            yield _scenario(cut, kind, master, load, order)


def orders(broken: tuple[Op, ...]) -> tuple[str, ...]:
    """`early`: before anything moves. `late`: after; with more than one fault in two orders."""
    return ("early", "late") if len(broken) == 1 else ("early", "late-forward", "late-backward")


def _scenario(cut: Cut, kind: str, master: str, load: str, order: str) -> Scenario:
    broken = ops(cut, kind, master)
    return Scenario(
        name=f"{cut.name}.{kind}.master-{master}.{load}.{order}",
        setting=f"{master} leads, {load}",
        master=master,
        rate_per_s=LOADS[load],
        acts=(*break_(broken), hold(cut, order), *_healing(broken, order)),
        expected=expected(cut, kind, master, load, order),
    )


def hold(cut: Cut, order: str) -> Act:
    """How long the faults stay."""
    if order == "early":
        return wait(EARLY_S)
    if cut.alone in LANS:
        return wait(BROKER_S, STANDBY_S)
    return wait(BROKER_S, LEASE_S if cut.alone or len(cut.links) > 1 else 0.0)


def _healing(broken: tuple[Op, ...], order: str) -> tuple[Act, ...]:
    if order == "early":
        return (MEND_ALL,)
    return mend(reversed(broken) if order == "late-backward" else broken)


def expected(cut: Cut, kind: str, master: str, load: str, order: str) -> Expected:
    """What the table of partitions promises for this cell."""
    if len(cut.links) > 2 or (order == "early" and kind == "crash"):
        return Expected(standby=False if order == "early" else None)
    other = LANS[1 - LANS.index(master)]
    lost = cut.alone == master or (not cut.links and kind != "oneway")
    moves = lost and order != "early"
    works = cut.alone in LANS and order != "early"
    # With one task a second the survivor may well take them all.
    return Expected(
        master=other if moves else master,
        standby=None if works and load == "idle" else works,
    )
