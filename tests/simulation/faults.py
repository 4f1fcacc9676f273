"""What goes wrong, when and for how long: a plan made from a seed, before anything runs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tests.simulation.clock import ticks
from tests.simulation.network import CONTROL, LANS, OVERLAY, PUBLIC, SITES, STANDBY, Way

if TYPE_CHECKING:
    from tests.simulation.world import World

Undo = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """From `at_s` on for `for_s`, in true seconds. `target` and `other` are places."""

    kind: str
    at_s: float
    for_s: float
    target: str
    other: str = ""
    size: float = 0.0

    def __str__(self) -> str:
        size = f" {self.size:.2f}" if self.size else ""
        return f"{self.kind} {self.target} {self.other}".strip() + size


def _between(i: str, j: str, *planes: str) -> list[Way]:
    return [(p, a, b) for p in planes for a, b in ((i, j), (j, i))]


def _around(site: str, *planes: str) -> list[Way]:
    return [way for s in SITES if s != site for way in _between(site, s, *planes)]


def _ways(fault: Fault) -> list[Way]:
    """The ways that a fault of the network concerns."""
    target, other = fault.target, fault.other
    both = (OVERLAY, PUBLIC)
    if fault.kind == "cut-site":
        return _around(target, *both)
    if fault.kind == "cut-out":
        return [way for way in _around(target, *both) if way[1] == target]
    if fault.kind == "cut-in":
        return [way for way in _around(target, *both) if way[2] == target]
    if fault.kind == "cut-oneway":
        return [(p, target, other) for p in both]
    if fault.kind == "cut-overlay":
        return _between(target, other, OVERLAY)
    if fault.kind == "cut-public":
        return _between(target, CONTROL, PUBLIC)
    if fault.kind == "cut-standby":
        return _between(STANDBY, CONTROL, PUBLIC)
    return _between(target, other, *both)  # cut-link, loss, slow


def _begin_cut(world: "World", fault: Fault) -> Undo:
    ways = _ways(fault)
    world.network.cut(ways)
    return lambda: world.network.mend(ways)


def _begin_loss(world: "World", fault: Fault) -> Undo:
    ways = _ways(fault)
    world.network.lose(ways, fault.size)
    return lambda: world.network.keep(ways, fault.size)


def _begin_slow(world: "World", fault: Fault) -> Undo:
    ways = _ways(fault)
    world.network.slow(ways, fault.size)
    return lambda: world.network.speed(ways, fault.size)


def _begin_crash(world: "World", fault: Fault) -> Undo:
    return world.crash(fault.target, whole=fault.size < 0.5)


def _begin_pause(world: "World", fault: Fault) -> Undo:
    return world.pause(fault.target, mail_first=fault.size < 0.5)


def _begin_skew(world: "World", fault: Fault) -> Undo:
    clock = world.clock_of(fault.target)
    clock.skew_s += fault.size

    def undo() -> None:
        clock.skew_s -= fault.size

    return undo


def _begin_provider(world: "World", fault: Fault) -> Undo:
    world.standby.provider_away = True

    def undo() -> None:
        world.standby.provider_away = False

    return undo


def _begin_standby_crash(world: "World", fault: Fault) -> Undo:
    world.standby.crash()
    return lambda: None


def _begin_freeze(world: "World", fault: Fault) -> Undo:
    world.standby.freeze(fault.for_s)
    return lambda: None


_CUTS = (
    "cut-site",
    "cut-link",
    "cut-oneway",
    "cut-out",
    "cut-in",
    "cut-overlay",
    "cut-public",
    "cut-standby",
)
_Begin = Callable[["World", Fault], Undo]
KINDS: dict[str, _Begin] = {
    **dict.fromkeys(_CUTS, _begin_cut),
    "loss": _begin_loss,
    "slow": _begin_slow,
    "crash": _begin_crash,
    "pause": _begin_pause,
    "skew": _begin_skew,
    "provider": _begin_provider,
    "standby-crash": _begin_standby_crash,
    "freeze": _begin_freeze,
}
#: How often each is drawn. A freeze is drawn only where it is asked for by name.
WEIGHTS = dict.fromkeys(KINDS, 1.0) | {"cut-site": 4.0, "crash": 2.0, "pause": 2.0, "freeze": 0.0}
#: Kinds that are no outage of a site by themselves.
SOFT = frozenset({"loss", "slow", "skew", "provider", "standby-crash", "cut-standby", "freeze"})


class Plan:
    """Draws faults of the wanted kinds, in groups with quiet in between."""

    def __init__(self, seed: int, hours: float, kinds: frozenset[str]) -> None:
        self._rng = Random(seed)
        self._end_s = hours * 3600.0
        self._kinds = [k for k in KINDS if k in kinds]
        drawn = len(self._kinds) < len(KINDS) - 1
        self._weights = [1.0 if drawn and k == "freeze" else WEIGHTS[k] for k in self._kinds]

    def faults(self) -> Iterator[Fault]:
        """Groups of one to four that may overlap; then short or long quiet."""
        at_s = 60.0 + self._rng.random() * 60.0
        while at_s < self._end_s - 900.0:
            ends = at_s
            for _ in range(self._rng.choice((1, 1, 1, 2, 2, 3, 4))):
                fault = self._fault(at_s + self._rng.random() * 120.0)
                ends = max(ends, fault.at_s + fault.for_s)
                yield fault
            long = self._rng.random() < 0.5
            at_s = ends + (self._rng.uniform(660, 3600) if long else self._rng.uniform(1, 400))

    def _fault(self, at_s: float) -> Fault:
        rng = self._rng
        kind = rng.choices(self._kinds, self._weights)[0]
        target = rng.choice(SITES)
        for_s = rng.choice((rng.uniform(1, 15), rng.uniform(15, 60), rng.uniform(30, 400)))
        if kind == "skew":
            size = rng.choice((-60.0, -30.0, -5.0, 5.0, 30.0, 60.0))
        elif kind == "loss":
            size = rng.choice((0.01, 0.1, 0.25, 0.5, 0.8))
        else:
            size = rng.uniform(0.5, 6.0) if kind == "slow" else rng.random()
        if kind == "pause":
            target = rng.choice((*SITES, "api", STANDBY))
            for_s = rng.uniform(1, 90)
        if kind == "cut-public":
            target = rng.choice(LANS)
        other = rng.choice([s for s in SITES if s != target])
        return Fault(kind, at_s, for_s, target, other, size)


def flaps(hours: float, every_s: float = 60.0) -> Iterator[Fault]:
    """A LAN that goes and comes each minute."""
    at_s = 120.0
    while at_s < hours * 3600.0 + 120.0:
        yield Fault("cut-site", at_s, every_s, LANS[0])
        at_s += 2 * every_s


def micro_outages(seed: int, hours: float) -> Iterator[Fault]:
    """Short outages of home lines: 0.06 a day of ten minutes and more, and more of the short
    ones (Pareto, exponent 0.8, from 2 s on); 30 minutes at most."""
    rng = Random(seed)
    a_day = 0.06 * (600.0 / 2.0) ** 0.8
    for site in SITES:
        at_s = rng.expovariate(a_day / 86400.0)
        while at_s < hours * 3600.0 - 1200.0:
            for_s = min(2.0 * rng.random() ** (-1 / 0.8), 1800.0)
            yield Fault("cut-site", at_s, for_s, site)
            at_s += for_s + rng.expovariate(a_day / 86400.0)


def lossy(seed: int, hours: float) -> Iterator[Fault]:
    """One percent lost on each of the six ways: bursts of up to five seconds in which all is
    lost, on one direction at a time."""
    rng = Random(seed)
    for i in SITES:
        for j in SITES:
            at_s = rng.uniform(60.0, 300.0)
            while i != j and at_s < hours * 3600.0 - 60.0:
                for_s = rng.uniform(1.0, 5.0)
                yield Fault("burst", at_s, for_s, i, j, 1.0)
                at_s += for_s + rng.expovariate(1 / 300.0)


def single(seed: int, hours: float) -> Iterator[Fault]:
    """One LAN lost for some minutes, by cut or crash, with time to recover."""
    rng = Random(seed)
    at_s = 120.0
    while at_s < hours * 3600.0 - 1500.0:
        kind = rng.choice(("cut-site", "crash"))
        for_s = rng.uniform(60.0, 300.0)
        yield Fault(kind, at_s, for_s, rng.choice(LANS))
        # Long enough for the penalty of one loss to fade, so that damping plays no part.
        at_s += for_s + rng.uniform(1800.0, 2700.0)


def lease_losses(seed: int, hours: float) -> Iterator[Fault]:
    """A LAN is lost, the standby works, and then the lease is lost in one of many ways."""
    rng = Random(seed)
    at_s = 120.0
    while at_s < hours * 3600.0 - 1800.0:
        lost, other = rng.sample(LANS, 2)
        yield Fault("cut-site", at_s, rng.uniform(240, 400), lost)
        then_s = at_s + rng.uniform(50, 110)
        for kind, target, for_s in rng.choice(_LEASE_LOSSES):
            yield Fault(kind, then_s, for_s * rng.uniform(0.5, 1.5), target or other)
        at_s += rng.uniform(1500, 2400)


#: Kind, place ("": the LAN that asked for the lease) and seconds of what happens together.
_LEASE_LOSSES = (
    (("cut-site", CONTROL, 90.0),),
    (("cut-site", "", 90.0),),
    (("crash", "", 90.0),),
    (("crash", CONTROL, 20.0),),
    (("pause", "api", 80.0),),
    (("cut-standby", "", 90.0), ("cut-site", "", 90.0)),
    (("pause", STANDBY, 50.0), ("cut-site", CONTROL, 60.0)),
    (("standby-crash", "", 1.0), ("provider", "", 600.0)),
)


def _begin_burst(world: "World", fault: Fault) -> Undo:
    ways = [(plane, fault.target, fault.other) for plane in (OVERLAY, PUBLIC)]
    world.network.lose(ways, fault.size)
    return lambda: world.network.keep(ways, fault.size)


def begin(world: "World", fault: Fault) -> Undo:
    """Do it; what undoes it comes back."""
    call = _begin_burst if fault.kind == "burst" else KINDS[fault.kind]
    return call(world, fault)


def plan_of(names: str, seed: int, hours: float) -> list[Fault]:
    """The faults of a named plan, or of a list of kinds with commas; raises ValueError."""
    plans: dict[str, Callable[[], Iterator[Fault]]] = {
        "flap": lambda: flaps(min(hours, 1.0)),
        "micro": lambda: micro_outages(seed, hours),
        "loss-only": lambda: lossy(seed, hours),
        "single": lambda: single(seed, hours),
        "lease-loss": lambda: lease_losses(seed, hours),
        "none": lambda: iter(()),
        "all": Plan(seed, hours, frozenset(KINDS) - {"freeze"}).faults,
    }
    if names in plans:
        return list(plans[names]())
    kinds = frozenset(names.split(","))
    if unknown := sorted(kinds - set(KINDS)):
        known = ", ".join([*plans, *KINDS])
        raise ValueError(f"no such faults: {', '.join(unknown)}; there are {known}")
    return list(Plan(seed, hours, kinds).faults())


def is_hard(fault: Fault) -> bool:
    return fault.kind not in SOFT | {"burst"}


def end_tick(fault: Fault) -> int:
    return ticks(fault.at_s + fault.for_s)
