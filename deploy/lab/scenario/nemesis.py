"""A seeded random nemesis that breaks and mends; the same seed gives the same script."""

import random
from collections.abc import Callable

from deploy.lab.scenario.matrix import LANS, SITES
from deploy.lab.scenario.script import MEND_ALL, Act, Op, Scenario, break_, mend, wait

MOST_AT_ONCE = 2
SHORTEST_S, LONGEST_S = 1.0, 20.0
RATE_PER_S = 6.0
#: An hour breaks much; what is left may take a while.
SETTLE_S = 180.0

Chance = random.Random


def script(seed: int, for_s: float) -> Scenario:
    """Random faults for about `for_s` seconds, at most two at once, then all is mended."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    acts: list[Act] = []
    on: list[Op] = []
    passed_s = 0.0
    while passed_s < for_s:
        acts += _change(chance, on)
        pause_s = round(min(chance.uniform(SHORTEST_S, LONGEST_S), for_s - passed_s), 1)
        acts.append(wait(max(pause_s, 0.1)))
        passed_s += max(pause_s, 0.1)
    return Scenario(
        name=f"nemesis-{seed}",
        setting=f"a nemesis with seed {seed} for {for_s:g} s",
        master=None,
        rate_per_s=RATE_PER_S,
        acts=(*acts, MEND_ALL),
        settle_s=SETTLE_S,
    )


def _change(chance: Chance, on: list[Op]) -> tuple[Act, ...]:
    """Break something, or mend something that is broken."""
    if on and (len(on) >= MOST_AT_ONCE or chance.random() < 0.5):
        return mend([on.pop(chance.randrange(len(on)))])
    op = chance.choice(_FAULTS)(chance)
    if any(op.fault_id == other.fault_id for other in on):
        return ()
    if op.verb != "restart":
        on.append(op)
    return break_([op])


def _pair(chance: Chance) -> tuple[str, str]:
    first, second = chance.sample(SITES, 2)
    return first, second


_FAULTS: tuple[Callable[[Chance], Op], ...] = (
    lambda chance: Op("kill", (chance.choice(LANS), chance.choice(("worker", "agent", "redis")))),
    lambda chance: Op("kill", (chance.choice(SITES), "sentinel")),
    lambda chance: Op("stop", (chance.choice(LANS), chance.choice(("worker", "redis", "all")))),
    lambda chance: Op("restart", (chance.choice(LANS), chance.choice(("worker", "agent")))),
    lambda chance: Op("cut_site", (chance.choice(SITES),)),
    lambda chance: Op("cut_link", _pair(chance)),
    lambda chance: Op("cut_oneway", _pair(chance)),
    lambda chance: Op("cut_overlay", _pair(chance)),
    lambda chance: Op("fill_disk", (chance.choice(LANS),)),
)
