"""Everything together: the queue, the network, the agents, the plan of faults."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fleet.policy.modes import Mode, ModeState
from fleet.policy.verdict import Kind
from probes.watch.datagram import Beat, Relayed
from probes.watch.state import Snapshot, Watch
from tests.simulation import faults
from tests.simulation.broker import Broker
from tests.simulation.checks import QUIET, Checks
from tests.simulation.clock import MOST_DRIFT, UNITS_A_SECOND, Clock, seconds, ticks
from tests.simulation.control import Control
from tests.simulation.events import AGENTS, PLAN, Process, Queue, Trace
from tests.simulation.faults import Fault, Undo
from tests.simulation.figures import Figures
from tests.simulation.lan import Lan
from tests.simulation.leap import Leaper
from tests.simulation.network import CONTROL, LANS, OVERLAY, SITES, STANDBY, Network
from tests.simulation.standby import Standby
from tests.simulation.web import Web

#: Clocks have run for so long when the simulation begins, at most.
UPTIME_S = 100_000.0
#: This share of all clocks is as wrong as a clock may be, in one direction or the other.
EXTREME_CLOCKS = 0.75
#: Outages that ended less than this ago may still be the cause of a suspicion.
AFTERMATH = ticks(60.0)
#: Verdicts that accuse nobody; unknown is what a late row leaves for a moment.
FINE = frozenset({Kind.UP, Kind.DEGRADED, Kind.UNKNOWN})


class World:
    """`goes_on`: broken promises are collected instead of ending the run."""

    def __init__(
        self, seed: int, plan: list[Fault], *, leaps: bool = True, goes_on: bool = False
    ) -> None:
        self.seed, self.goes_on = seed, goes_on
        self.queue, self.trace, self.figures = Queue(), Trace(), Figures()
        self.network = Network(seed)
        self.web = Web(self.queue, self.network)
        self.broker = Broker(self.queue, self.network)
        self.checks = Checks(self)
        self.leaper = Leaper(self) if leaps else None
        self.clocks = {name: self._clock(n, name) for n, name in enumerate((*SITES, STANDBY))}
        self.control = Control(self, self.clocks[CONTROL])
        self.lans = {site: Lan(self, site, self.clocks[site]) for site in LANS}
        self.standby = Standby(self, self.clocks[STANDBY])
        self.faults_active = self._hard_active = 0
        self.last_change = 0
        #: The start is an outage, too: nobody has heard anybody yet.
        self._hard_end = 0
        self._failover_at = 0
        for fault in plan:
            self.plan(ticks(fault.at_s), self._begin, fault)

    def _clock(self, number: int, name: str) -> Clock:
        chance = self.network.chance
        drift = round((2 * chance(10, number) - 1) * MOST_DRIFT)
        if chance(11, number) < EXTREME_CLOCKS:
            drift = MOST_DRIFT if drift > 0 else -MOST_DRIFT
        return Clock(name, drift, -ticks(UPTIME_S * chance(12, number)))

    def run(self, hours: float) -> None:
        """Raises ViolationError when a check fails."""
        end = ticks(hours * 3600.0)
        self.plan(end, lambda: None)
        self.queue.run(end, self.checks.after)

    def plan(self, tick: int, call: Callable[..., None], *args: Any) -> None:
        self.queue.at(tick, PLAN, call, *args)

    def phase(self, site: str) -> int:
        """When in a second its timers begin."""
        return ticks(self.network.chance(13 + SITES.index(site), self.queue.now))

    def note(self, *words: object) -> None:
        self.trace.note(self.queue.now, *words)

    # -- faults -------------------------------------------------------------------------------

    def _begin(self, fault: Fault) -> None:
        self.note("FAULT", fault, f"for {fault.for_s:.1f} s", *self._facts())
        self.faults_active += 1
        self.figures.faults_done += 1
        if faults.is_hard(fault):
            self._hard_active += 1
            self.figures.outages += 1
        self.last_change = self.queue.now
        undo = faults.begin(self, fault)
        end = max(faults.end_tick(fault), self.queue.now + 1)
        self.plan(end, self._end, fault, undo)

    def _end(self, fault: Fault, undo: Undo) -> None:
        undo()
        self.note("HEALED", fault)
        self.faults_active -= 1
        self.last_change = self.queue.now
        if faults.is_hard(fault):
            self._hard_active -= 1
            self._hard_end = self.queue.now
        if not self.faults_active:
            self.plan(self.queue.now + QUIET, self.checks.quiet, self.queue.now)

    def clock_of(self, name: str) -> Clock:
        return self.clocks[name]

    def crash(self, site: str, *, whole: bool) -> Undo:
        """A LAN's machine, or at dc3 the machine or only the loop's process."""
        if site == CONTROL:
            return self._crash_control(whole)
        lan = self.lans[site]
        if not lan.process.alive:
            return lambda: None
        lan.process.kill()
        self.broker.dead.add(site)

        def undo() -> None:
            self.broker.dead.discard(site)
            lan.boot()

        return undo

    def _crash_control(self, whole: bool) -> Undo:
        control = self.control
        if not (control.process.alive and control.api.process.alive):
            return lambda: None
        control.process.kill()
        if whole:
            control.api.process.kill()
            return control.boot
        return control.restart_loop

    def pause(self, name: str, *, mail_first: bool) -> Undo:
        process = self._process(name)
        if not process.alive or process.paused:
            return lambda: None
        process.pause()
        life = process.lives

        def undo() -> None:
            if process.lives == life:
                process.resume(mail_first)

        return undo

    def _process(self, name: str) -> Process:
        others = {
            CONTROL: self.control.process,
            "api": self.control.api.process,
            STANDBY: self.standby.process,
        }
        return others[name] if name in others else self.lans[name].process

    # -- messages -----------------------------------------------------------------------------

    def send_beat(self, sender: str, to: str, beat: Beat) -> None:
        arrives = self.network.datagram((OVERLAY, sender, to), self.queue.now)
        if arrives is not None:
            self.post(sender, to, arrives, _as_sent(beat) if beat.relayed else beat)

    def post(self, sender: str, to: str, tick: int, beat: Beat) -> None:
        node: Lan | Control = self.control if to == CONTROL else self.lans[to]
        self.queue.at(tick, AGENTS + 1, self._deliver, node, sender, beat)

    @staticmethod
    def _deliver(node: Lan | Control, sender: str, beat: Beat) -> None:
        node.process.deliver(node.hear, sender, beat)

    def ask_api(
        self,
        process: Process,
        site: str,
        timeout_s: float,
        serve: Callable[[], Any],
        answered: Callable[[Any], None],
        failed: Callable[[], None],
    ) -> None:
        ends = (site, CONTROL)
        self.web.ask(process, self.control.api.process, ends, timeout_s, serve, answered, failed)

    # -- what is noticed ----------------------------------------------------------------------

    def note_verdicts(self, site: str, kinds: dict[str, Kind], snapshot: Snapshot) -> bool:
        """Keep what changed; whether anything did."""
        changed = False
        for subject, verdict in snapshot.verdicts.items():
            was = kinds.get(subject)
            if was is verdict.kind:
                continue
            changed, kinds[subject] = True, verdict.kind
            self.note(site, "finds", subject, verdict.kind, "--", verdict.reason)
            if was is not None and self._untroubled() and verdict.kind not in FINE:
                self.figures.false_verdicts += 1
            if site == CONTROL and subject in LANS:
                self._judged(subject, was, verdict.kind)
        return changed

    def _untroubled(self) -> bool:
        """No cut, crash or pause now, and none just before."""
        return not self._hard_active and self.queue.now - self._hard_end > AFTERMATH

    def _judged(self, lan: str, was: Kind | None, kind: Kind) -> None:
        away_s = seconds(self.queue.now - self.checks.contacts.last[lan])
        if kind is Kind.SUSPECT and was is not Kind.DOWN:
            self.figures.suspicions += 1
            self.figures.false_suspicions += self._untroubled()
            self.figures.suspect_after_s.append(away_s)
        if kind is Kind.DOWN:
            self.figures.down_after_s.append(away_s)

    def back_to(self, before: ModeState, after: ModeState) -> None:
        """How long it took from the last healing to normal, if a failover came before it."""
        now = self.queue.now
        if after.mode is Mode.FAILOVER:
            self._failover_at = now
        healed = not self.faults_active and self._failover_at
        if after.mode is Mode.NORMAL and before.mode is Mode.RECOVERING and healed:
            if self._failover_at < self.last_change:
                damped = now - self.checks.last_damped < now - self.last_change
                figures = self.figures
                found = figures.back_while_damped_s if damped else figures.back_to_normal_s
                found.append(seconds(now - self.last_change))
            self._failover_at = 0

    def consider_leap(self) -> None:
        self.checks.judged()
        if self.leaper is not None:
            self.leaper.consider()

    def _facts(self) -> tuple[str, ...]:
        """What a wrong leap over calm time would get wrong; it goes into the trace."""
        watches = [self.control.watch, *(lan.watch for lan in self.lans.values())]
        return (*map(facts_of, watches), f"tokens {self.control.ledger.tokens}")


def facts_of(watch: Watch) -> str:
    peers = watch.hearing._peers.values()
    words = [
        f"{len(p.history.intervals_s)}/{sum(p.history.intervals_s)!r}/{p.direct_seq}"
        f"/{p.history.last_s!r}/{sum(p.late)}"
        for p in peers
    ]
    return f"[{watch.site} {watch._seq} {' '.join(words)}]"


def _as_sent(beat: Beat) -> Beat:
    """Ages travel in whole milliseconds."""
    passed_on = tuple(Relayed(r.signed, round(r.age_s * 1000) / 1000) for r in beat.relayed)
    return replace(beat, relayed=passed_on)


assert UNITS_A_SECOND == 1 << 30  # moments of a month stay below 53 bits
