"""What was done to the fleet and when; and from that, when a site was alone."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from deploy.lab.scenario.script import Op
from deploy.lab.scenario.witness import Witness

#: A process that stands for its whole site.
ALL = "all"


@dataclass(frozen=True, slots=True)
class Moment:
    """An act of a script with the time at which it was done, on the monotonic clock."""

    what: str
    words: str
    began_s: float
    ended_s: float


@dataclass(kw_only=True)
class Timeline:
    """Writes `timeline.jsonl` and `alone.jsonl` while a script is played."""

    moments_file: Witness
    alone_file: Witness
    control: str
    lans: tuple[str, ...]
    moments: list[Moment] = field(default_factory=list)
    on: list[Op] = field(default_factory=list)
    alone: bool = False

    def add(self, what: str, words: str, began_s: float) -> None:
        """An act that has just been done."""
        moment = Moment(what, words, began_s, time.monotonic())
        self.moments.append(moment)
        self.moments_file.write(
            at=time.time(),
            what=what,
            words=words,
            began_s=began_s,
            monotonic_s=moment.ended_s,
        )

    def broken(self, op: Op) -> None:
        """The fault is on."""
        if op.verb != "restart":
            self.on.append(op)
        self._tell()

    def mending(self, ops: Iterable[Op]) -> None:
        """These are about to be undone: said before, so that the time alone is never too long."""
        gone = {op.fault_id for op in ops}
        self.on = [op for op in self.on if op.fault_id not in gone]
        self._tell()

    def first_break_s(self) -> float | None:
        """When the last of the first faults was on: faults without a wait between are one."""
        found: float | None = None
        for moment in self.moments:
            if moment.what == "break":
                found = moment.ended_s
            elif found is not None:
                return found
        return found

    def first_mend_s(self) -> float | None:
        """When the first mending began."""
        return next((m.began_s for m in self.moments if m.what.startswith("mend")), None)

    def as_json(self) -> list[dict[str, Any]]:
        """For reports: seconds since the first act."""
        zero_s = self.moments[0].began_s if self.moments else 0.0
        return [
            {"after_s": round(m.ended_s - zero_s, 3), "what": m.what, "words": m.words}
            for m in self.moments
        ]

    def _tell(self) -> None:
        alone = is_alone(self.control, self.lans, self.on)
        if alone != self.alone:
            self.alone = alone
            event = "alone" if alone else "joined"
            self.alone_file.write(site=self.control, event=event, monotonic_s=time.monotonic())


def is_alone(site: str, others: Iterable[str], on: Iterable[Op]) -> bool:
    """Whether no other site can exchange packets with this one, whatever anybody believes."""
    faults = list(on)
    return all(any(_separates(op, site, other) for op in faults) for other in others)


def _separates(op: Op, site: str, other: str) -> bool:
    """An answer needs both ways, so a link that fails one way is of no use either."""
    if op.verb == "cut_site":
        return op.where[0] in (site, other)
    if op.verb in ("cut_link", "cut_oneway"):
        return set(op.where) == {site, other}
    return op.verb in ("kill", "stop") and op.where == (other, ALL)
