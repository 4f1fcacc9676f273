"""All scenarios by name, and the few that are tried at every change."""

import difflib
from functools import lru_cache

from deploy.lab.errors import LabError
from deploy.lab.scenario import matrix, nemesis, special
from deploy.lab.scenario.script import Scenario

#: One of each kind of trouble, short ones first.
SMOKE = (
    "no-link.crash.master-dc1.loaded.late",
    "dc1-alone.cut.master-dc1.loaded.late-forward",
    "dc1-dc2-link.cut.master-dc1.loaded.late",
    "worker-crash-dc1",
    "frozen-redis-dc1",
)
NEMESIS = "nemesis"


@lru_cache(maxsize=1)
def every() -> dict[str, Scenario]:
    """The matrix and the special ones; the nemesis has no end and is named alone."""
    return {one.name: one for one in (*matrix.scenarios(), *special.scenarios())}


def chosen(name: str, *, seed: int, for_s: float) -> tuple[Scenario, ...]:
    """`all`, `smoke`, `nemesis`, a name, or the beginning of names.

    Raises LabError with the near names for one that is none of these.
    """
    known = every()
    if name == NEMESIS:
        return (nemesis.script(seed, for_s),)
    if name == "smoke":
        return tuple(known[one] for one in SMOKE)
    found = tuple(one for key, one in known.items() if name in ("all", key))
    found = found or tuple(one for key, one in known.items() if key.startswith(name))
    if found:
        return found
    beginnings = {key.partition(".")[0] for key in known}
    near = difflib.get_close_matches(name, [*known, *beginnings], n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise LabError(f"no scenario {name!r}; {hint}All names: turtle lab scenario list")
