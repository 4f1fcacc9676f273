"""Two masters at once? Redis and Sentinel in steps of one second, under a plan of settings.

Redis and Sentinel are not ours, so they are modelled after what they were measured to do, each
time in the worse way: a cut-off master goes on for up to two seconds beyond its lag, a Sentinel
begins to count a second before the silence does. What is ours is the rule about the settings,
`fleet.policy.broker_rules`: every plan that it lets pass must never have two masters that take
writes, and the plan of the documentation, which it refuses, must.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from fleet.policy.broker_rules import BrokerPlan, broken_rules
from tests.model.place import ALL_UP, BIT, BOTH_ALIVE, LINKS, SITES, A, C, isolated, linked, other

#: Redis looks at its replicas once a second, and they answer once a second.
OVERTIME_S = 1


class Redis(NamedTuple):
    """`old` is a master that was replaced and does not know, or -1. `lag_*` are the seconds
    since a replica last acknowledged, `silent` the seconds for which each Sentinel has missed
    the master, `follows` whom the Redis of the third site follows."""

    links: int = ALL_UP
    faults: int = 0
    master: int = A
    old: int = -1
    lag: int = 0
    lag_old: int = 0
    silent: tuple[int, int, int] = (0, 0, 0)


def plan(max_lag_s: int, down_after_s: int, quorum: int = 2) -> BrokerPlan:
    return BrokerPlan(
        max_lag_s=max_lag_s,
        down_after_s=down_after_s,
        quorum=quorum,
        sentinel_sites=SITES,
        replica_priorities=(10, 20, 0),
    )


def steps(r: Redis, p: BrokerPlan) -> Iterator[tuple[str, Redis]]:
    """Everything that may happen next."""
    yield from _second(r, p)
    if r.links != ALL_UP:
        yield "all links heal", r._replace(links=ALL_UP)
    if r.faults:
        spent = r._replace(faults=r.faults - 1)
        for i, j in LINKS:
            cut = r.links & ~BIT[i, j]
            yield f"the link {SITES[i]} -> {SITES[j]} is cut", spent._replace(links=cut)
        for site in range(3):
            cut = r.links & ~isolated(site)
            yield f"{SITES[site]} is cut off", spent._replace(links=cut)
    if r.old >= 0 and linked(r.links, BOTH_ALIVE, r.old, C):
        # A Sentinel tells it, sooner or later.
        yield f"{SITES[r.old]} becomes a replica", r._replace(old=-1, lag_old=0)


def _second(r: Redis, p: BrokerPlan) -> Iterator[tuple[str, Redis]]:
    most = int(p.max_lag_s) + OVERTIME_S + 1
    followers = [C] if r.old >= 0 else [C, other(r.master)]
    acked = any(linked(r.links, BOTH_ALIVE, r.master, f) for f in followers)
    longest = int(p.down_after_s) + 1
    silent = [
        0 if s == r.master or linked(r.links, BOTH_ALIVE, s, r.master) else min(n + 1, longest)
        for s, n in enumerate(r.silent)
    ]
    after = r._replace(
        lag=0 if acked else min(r.lag + 1, most),
        lag_old=min(r.lag_old + 1, most) if r.old >= 0 else 0,
        silent=(silent[0], silent[1], silent[2]),
    )
    moved = _promoted(after, p)
    yield "a second passes", moved or after


def _promoted(r: Redis, p: BrokerPlan) -> Redis | None:
    """Enough Sentinels that have missed the master for long enough, and a majority of votes."""
    missing = [s for s in range(3) if r.silent[s] >= p.down_after_s - 1]
    lan = other(r.master)
    voters = [s for s in range(3) if s == lan or linked(r.links, BOTH_ALIVE, lan, s)]
    if lan not in missing or r.old >= 0 or len(voters) < 2:
        return None
    if len([s for s in missing if s in voters]) < p.quorum:
        return None
    return r._replace(master=lan, old=r.master, lag=0, lag_old=r.lag, silent=(0, 0, 0))


def two_masters(r: Redis, p: BrokerPlan) -> bool:
    """The new one takes writes as soon as a replica follows it, the old one until its lag."""
    takes_new = r.old >= 0 and linked(r.links, BOTH_ALIVE, r.master, C)
    return takes_new and r.lag_old <= p.max_lag_s + OVERTIME_S


def explore(p: BrokerPlan, faults: int = 2) -> tuple[int, list[str]]:
    """The number of states, and the shortest way to two masters (empty: there is none)."""
    start = Redis(faults=faults)
    came: dict[Redis, tuple[Redis, str] | None] = {start: None}
    front = [start]
    while front:
        ahead = []
        for r in front:
            for label, after in steps(r, p):
                if after in came:
                    continue
                came[after] = (r, label)
                if two_masters(after, p):
                    return len(came), _way(came, after)
                ahead.append(after)
        front = ahead
    return len(came), []


def _way(came: dict[Redis, tuple[Redis, str] | None], state: Redis) -> list[str]:
    way: list[str] = []
    while (before := came[state]) is not None:
        state, label = before
        way.append(label)
    return [*reversed(way[1:]), f"{way[0]}   <- I1: two masters take writes"]


def passed(
    rules: Callable[[BrokerPlan], tuple[str, ...]] = broken_rules,
) -> tuple[int, int, BrokerPlan | None, list[str]]:
    """Plans that the rules let pass, states seen, and the first plan with two masters."""
    states = plans = 0
    for max_lag_s in range(1, 11):
        for down_after_s in range(3, 11):
            for quorum in (1, 2):
                p = plan(max_lag_s, down_after_s, quorum)
                if rules(p):
                    continue
                seen, way = explore(p)
                states, plans = states + seen, plans + 1
                if way:
                    return plans, states, p, way
    return plans, states, None, []
