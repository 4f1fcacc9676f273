"""A scenario as data: what is broken, how long it stays so, in which order it is mended."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Op:
    """One fault: the name of a method of `Faults`, where, and its numbers."""

    verb: str
    where: tuple[str, ...]
    options: Mapping[str, float] = field(default_factory=dict)

    @property
    def fault_id(self) -> str:
        """The name under which `Faults` heals it; it sorts the two ends of a link."""
        where = sorted(self.where) if self.verb in _BOTH_ENDS else self.where
        return " ".join((self.verb.replace("_", "-"), *where))

    def words(self) -> str:
        """The fault in a sentence."""
        return _WORDS[self.verb].format(*self.where, **self.options)


_BOTH_ENDS = frozenset({"cut_link", "cut_overlay", "slow_link"})
_WORDS = {
    "kill": "{0}'s {1} is killed",
    "stop": "{0}'s {1} is frozen",
    "restart": "{0}'s {1} is started again",
    "cut_site": "{0} is cut off",
    "cut_link": "{0} and {1} are cut apart",
    "cut_oneway": "nothing of {0} reaches {1}",
    "cut_overlay": "the overlay between {0} and {1} is cut",
    "block_port": "port {1} of {0} is blocked",
    "slow_link": "{0} and {1} are {delay_ms:g} ms apart",
    "fill_disk": "the disk of {0} is full",
    "skew_clock": "the clock of {0} is wrong by {by_s:+g} s",
}


class Do(StrEnum):
    """What an act does."""

    BREAK = "break"
    MEND = "mend"
    MEND_ALL = "mend all"
    WAIT = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One line of a script. Of `scaled_s`, a run with a time scale waits a part only."""

    do: Do
    op: Op | None = None
    fixed_s: float = 0.0
    scaled_s: float = 0.0

    def seconds(self, time_scale: float) -> float:
        """How long it waits."""
        return self.fixed_s + self.scaled_s * time_scale

    def words(self) -> str:
        """The act in a sentence."""
        if self.do is Do.WAIT:
            return f"{self.fixed_s + self.scaled_s:g} s pass"
        if self.op is None:
            return "all is mended"
        return self.op.words() if self.do is Do.BREAK else f"mended: {self.op.words()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the table of partitions says; None where it says nothing.

    `master`: who leads before the mending begins. `standby`: whether it works by then.
    """

    master: str | None = None
    standby: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A script with its setting: who leads the broker, and how many tasks a second come in."""

    name: str
    setting: str
    master: str | None
    rate_per_s: float
    acts: tuple[Act, ...]
    expected: Expected = Expected()
    #: After the last act, for what was accepted to take effect.
    settle_s: float = 60.0

    def sentence(self) -> str:
        """What happens, to be read."""
        return f"{self.setting}: {'; '.join(act.words() for act in self.acts)}."

    def breaks(self) -> tuple[Op, ...]:
        """The faults in their order."""
        return tuple(act.op for act in self.acts if act.do is Do.BREAK and act.op)

    def may_end_at(self) -> frozenset[str]:
        """Sites whose processes may end by themselves: for want of disk, as they are told to.

        A Redis replica ends rather than to lose what it cannot write, and so does a worker whose
        journal takes nothing; on a real box systemd starts them again.
        """
        return frozenset(op.where[0] for op in self.breaks() if op.verb == "fill_disk")


def break_(ops: Iterable[Op]) -> tuple[Act, ...]:
    """Break all, one after the other."""
    return tuple(Act(do=Do.BREAK, op=op) for op in ops)


def mend(ops: Iterable[Op], between_s: float = 2.0) -> tuple[Act, ...]:
    """Mend all, with a pause between two."""
    acts: list[Act] = []
    for op in ops:
        acts += [*([wait(between_s)] if acts else []), Act(do=Do.MEND, op=op)]
    return tuple(acts)


def wait(fixed_s: float, scaled_s: float = 0.0) -> Act:
    """Let time pass."""
    return Act(do=Do.WAIT, fixed_s=fixed_s, scaled_s=scaled_s)


MEND_ALL = Act(do=Do.MEND_ALL)
