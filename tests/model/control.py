"""The part of the model without tasks: links, verdicts, mode, lease, standby machine.

A tick is ten seconds, so that the fleet's own intervals (30 s to confirm, 30 s of lease, 10 s
between renewals) are few steps. Between two ticks everything may happen in any order.
"""

from collections.abc import Iterator
from typing import NamedTuple

from fleet.policy.activation import Act, Machine
from fleet.policy.verdict import Kind
from tests.model.calls import (
    AT_HOME,
    DECLARED,
    FAILOVER_A,
    FAILOVER_B,
    MODES,
    NEEDS_HELP,
    NORMAL,
    Calls,
)
from tests.model.place import (
    ALL_UP,
    BIT,
    BOTH_ALIVE,
    LANS,
    LINKS,
    SITES,
    A,
    B,
    C,
    alive,
    hears,
    isolated,
    linked,
    other,
    path,
)

NO_ANSWER = (0, 0, 0)


class Control(NamedTuple):
    """Ages are in ticks. A lease is named by 1 + its activator, 0 is none.

    `sus` is the control plane's memory of each LAN, `void` whether the grantor has booted since
    the grant, `stale` whether the holder has been asleep since it got its permit. `answer` is
    on its way to the holder: lease, ticks that it promises, age of the question.
    """

    links: int = ALL_UP
    lans: int = BOTH_ALIVE
    faults: int = 0
    sus: tuple[int, int] = (0, 0)
    alone: int = 0
    mode: int = NORMAL
    back: tuple[int, int] = (AT_HOME, AT_HOME)
    lease: int = 0
    lease_age: int = 0
    void: bool = False
    permit: int = 0
    promised: int = 0
    permit_age: int = 0
    stale: bool = False
    answer: tuple[int, int, int] = NO_ANSWER
    awake: bool = False
    master: int = A


class Step(NamedTuple):
    """What may happen, what comes of it, whose processes die in it, what it breaks."""

    label: str
    after: Control
    dies: int = -1
    broken: str = ""


class ControlModel(Calls):
    """All steps of the part without tasks, under the given rules."""

    # -- what may happen -------------------------------------------------------------------

    def steps(self, c: Control) -> Iterator[Step]:
        """Every next step, with the invariants of the state that it leads to checked."""
        for step in self._all(c):
            broken = step.broken or self.broken(step.after)
            yield step if not broken else step._replace(broken=broken)

    def _all(self, c: Control) -> Iterator[Step]:
        yield self._tick(c)
        yield from self._heals(c)
        if c.faults:
            yield from self._faults(c._replace(faults=c.faults - 1), c)
        for lan in LANS:
            yield from self._lan_asks(c, lan)
            yield from self._recovers(c, lan)
        yield from self._standby(c)

    def _faults(self, c: Control, before: Control) -> Iterator[Step]:
        for i, j in LINKS:
            if c.links & BIT[i, j]:
                cut = c._replace(links=c.links & ~BIT[i, j])
                yield Step(f"the link {SITES[i]} -> {SITES[j]} is cut", cut)
        for site in range(3):
            cut = c._replace(links=c.links & ~isolated(site))
            if cut.links != c.links:
                yield Step(f"{SITES[site]} is cut off", cut)
        for lan in LANS:
            if alive(c.lans, lan):
                yield Step(f"{SITES[lan]} crashes", c._replace(lans=c.lans & ~(1 << lan)), lan)
        boot = c._replace(sus=(0, 0), alone=0)
        if c.lease:
            boot = boot._replace(void=True, lease_age=0)
        yield Step("the control plane boots", boot)

    def _heals(self, c: Control) -> Iterator[Step]:
        if c.links != ALL_UP:
            yield Step("all links heal", c._replace(links=ALL_UP))
        for lan in LANS:
            if not alive(c.lans, lan):
                yield Step(f"{SITES[lan]} starts again", c._replace(lans=c.lans | 1 << lan))

    # -- time ------------------------------------------------------------------------------

    def _tick(self, c: Control) -> Step:
        c = self._clocks(c)
        c = c._replace(master=self._master(c))
        kinds, sus = [], []
        for lan in LANS:
            n, kind = self.remembered(c.sus[lan], self.verdict(c.links, c.lans, C, lan))
            sus.append(n)
            kinds.append(kind)
        silent = self.verdict(c.links, c.lans, C, C) is Kind.SELF_ISOLATED
        alone = min(c.alone + 1, 4) if silent else 0
        key = (c.mode, kinds[A], kinds[B], alone, c.back, c.lease)
        mode, broken = self.decided(*key)
        back = list(c.back)
        if mode in (FAILOVER_A, FAILOVER_B) and mode != c.mode:
            lost = mode - FAILOVER_A
            back[lost] = NEEDS_HELP
            if any(linked(c.links, c.lans, lost, by) for by in (other(lost), C)):
                broken = broken or f"I6: failover of {SITES[lost]}, which is reached"
        after = c._replace(sus=(sus[A], sus[B]), alone=alone, mode=mode, back=(back[A], back[B]))
        return Step("ten seconds pass", after, broken=broken)

    def _clocks(self, c: Control) -> Control:
        if c.lease:
            age = min(c.lease_age + 1, 5)
            if self.freed(c.lease, age, c.void):
                c = c._replace(lease=0, lease_age=0, void=False)
            else:
                c = c._replace(lease_age=age)
        if c.permit and c.awake:
            c = self._with_permit(c, c.permit, c.promised, min(c.permit_age + 1, 5), c.stale)
        if c.awake:
            lease, promised, age = c.answer
            c = self._with_answer(c, lease, promised, min(age + 1, 5))
        return c

    def _master(self, c: Control) -> int:
        """Sentinel: the two others, in touch, move the broker away from a site they both miss."""
        lan = other(c.master)
        agree = linked(c.links, c.lans, lan, C)
        lost = not any(linked(c.links, c.lans, c.master, by) for by in (lan, C))
        return lan if agree and lost else c.master

    # -- the lease -------------------------------------------------------------------------

    def _lan_asks(self, c: Control, lan: int) -> Iterator[Step]:
        peer = other(lan)
        if not linked(c.links, c.lans, lan, C):
            return
        seen = self.verdict(c.links, c.lans, lan, peer)
        if seen is not Kind.SUSPECT and c.back[peer] != NEEDS_HELP:
            return
        _n, kind = self.remembered(c.sus[peer], self.verdict(c.links, c.lans, C, peer))
        heard = hears(c.links, c.lans, C, peer)
        ramping = c.back[peer] == NEEDS_HELP
        confirmed = c.sus[peer] == DECLARED
        granted, new = self.asked(
            lan, c.lease, c.lease_age, c.void, (kind, confirmed, heard, ramping)
        )
        if not granted:
            return
        broken = ""
        if new and heard:
            broken = f"I6: a new lease against {SITES[peer]}, which the control plane hears"
        if c.lease not in (0, lan + 1):
            broken = "I5: a lease was given away while another held it"
        after = c._replace(lease=lan + 1, lease_age=0, void=False)
        yield Step(f"{SITES[lan]} {'gets' if new else 'renews'} the lease", after, broken=broken)

    # -- the standby machine ---------------------------------------------------------------

    def _standby(self, c: Control) -> Iterator[Step]:
        live = self.promise(c.lease, c.lease_age, c.void) > 0
        machine = Machine.STARTED if c.awake else Machine.SUSPENDED
        deed = self.rules.machine(machine, lease_live=live, prewarm=any(c.sus), since_s=1.0)
        if deed.act is Act.START:
            woken = c._replace(awake=True)
            yield Step("the standby wakes", self._with_permit(woken, *_permit(c), True))
        if deed.act is Act.SUSPEND:
            yield Step("the standby sleeps", c._replace(awake=False, answer=NO_ANSWER))
        if c.awake and live and c.answer == NO_ANSWER:
            promised = self.promise(c.lease, c.lease_age, c.void)
            asked = self._with_answer(c, c.lease, promised, 0)
            yield Step("the standby asks, the answer is on its way", asked)
        if c.awake and c.answer != NO_ANSWER:
            lease, promised, age = c.answer
            counted = age if self.rules.counts_from_question else 0
            told = c._replace(answer=NO_ANSWER)
            after = self._with_permit(told, lease, promised, counted, False)
            yield Step("the standby gets its answer", after)

    def _with_answer(self, c: Control, lease: int, promised: int, age: int) -> Control:
        """An answer that will allow nothing any more is forgotten, too."""
        counted = age if self.rules.counts_from_question else 0
        useful = lease and self.permitted(promised, counted, False)
        return c._replace(answer=(lease, promised, age) if useful else NO_ANSWER)

    def _with_permit(
        self, c: Control, permit: int, promised: int, age: int, stale: bool
    ) -> Control:
        """A permit that allows nothing any more is forgotten: it makes no difference."""
        if permit and self.permitted(promised, age, stale):
            return c._replace(permit=permit, promised=promised, permit_age=age, stale=stale)
        return c._replace(permit=0, promised=0, permit_age=0, stale=False)

    # -- recovery --------------------------------------------------------------------------

    def _recovers(self, c: Control, lan: int) -> Iterator[Step]:
        here = linked(c.links, c.lans, lan, C) and not c.sus[lan]
        if c.back[lan] == AT_HOME or not here:
            return
        group, stage = self.recovered(c.back[lan])
        back = (group, c.back[B]) if lan == A else (c.back[A], group)
        yield Step(f"{SITES[lan]} recovers: {stage}", c._replace(back=back))

    # -- what must hold --------------------------------------------------------------------

    def may_run(self, c: Control) -> bool:
        """The holder's belief."""
        return c.awake and bool(c.permit or not self.rules.needs_permit)

    def broken(self, c: Control) -> str:
        """The invariants of a single state."""
        if self.may_run(c) and not c.permit == c.lease > 0:
            return "I5: the standby believes in a lease that the grantor does not keep for it"
        if c.mode in (FAILOVER_A, FAILOVER_B):
            allowed = (0, 1 + other(c.mode - FAILOVER_A))
            if self.may_run(c) and c.permit not in allowed:
                return f"I10: {MODES[c.mode]} while the standby works for the other failover"
        return ""


def _permit(c: Control) -> tuple[int, int, int]:
    return c.permit, c.promised, c.permit_age


def broker_reached(c: Control) -> tuple[bool, bool, bool]:
    """Which sites can take and publish: they reach the master, and it has a replica."""
    m = c.master
    serves = alive(c.lans, m) and any(linked(c.links, c.lans, m, r) for r in range(3) if r != m)
    reached = [serves and path(c.links, c.lans, x, m) for x in range(3)]
    return reached[A], reached[B], reached[C]
