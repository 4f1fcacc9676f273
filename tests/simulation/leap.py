"""Leaving out calm: why it changes nothing, and how the state after it is made.

Calm: nothing is broken, planned or under way, everybody finds everybody up, and the mode is
normal with a free lease. Until the next planned fault nothing can change then. Every beat arrives
(a calm network loses nothing and delays by less than half a second), so that the silence at any
look is below `acceptable_pause_s`; there phi is below log10(2), far from `alive_phi`, whatever
the detector remembers. Rows are then fresh, links up, verdicts up, and the mode stays.

What remembers more than `DETAIL` of this stretch is set as it would be: the detectors' windows
and last beats (from the same latencies, which depend on seed and moment only), the numbers of
rows, the looks that were late (none), the phases of all timers, the counter of tokens. All else
(rows, reports, verdicts with their times) is younger than `DETAIL` when the next fault begins,
because that long is simulated in full before it. A test compares runs with and without leaps.
"""

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from fleet.policy.activation import Machine
from fleet.policy.asking import subject_of
from fleet.policy.detector import History
from fleet.policy.liveness import HEARTBEAT_S
from fleet.policy.modes import Mode
from fleet.policy.timing import TIMING
from fleet.policy.verdict import Kind
from probes.watch.datagram import Beat
from probes.watch.signed import SignedRow
from probes.watch.state import Watch
from probes.watch.store import Kept
from tests.simulation.clock import Clock, ticks
from tests.simulation.events import Timer
from tests.simulation.network import CONTROL, LANS, OVERLAY, SITES

if TYPE_CHECKING:
    from tests.simulation.world import World

#: Simulated in full before a planned event: more than two reports and three looks at the broker.
DETAIL = ticks(16.0)
#: A leap over less is not worth it.
LEAST = ticks(20.0)
#: Timers have gone on like this for so many beats: what is under way was sent by them.
STEADY_BEATS = 20


class Leaper:
    def __init__(self, world: "World") -> None:
        self._world = world
        self.leapt = 0

    def consider(self) -> None:
        """Leap to shortly before the next planned event, if all is calm."""
        world = self._world
        if world.faults_active or not self._at_rest() or world.web.under_way():
            return
        planned = world.queue.next_planned()
        if planned is None or planned - DETAIL - LEAST < world.queue.now or not self._calm():
            return
        self.leapt += planned - DETAIL - world.queue.now
        self._leap(planned - DETAIL)

    # -- is it calm ---------------------------------------------------------------------------

    def _at_rest(self) -> bool:
        world, ledger = self._world, self._world.control.ledger
        return (
            ledger.mode.mode is Mode.NORMAL
            and world.standby.machine in (Machine.SUSPENDED, Machine.STOPPED)
            and not world.standby.busy()
            and not ledger.recovering()
            and not world.control.lease_live()
            and all(world.clocks[site].skew_s == 0.0 for site in SITES)
        )

    def _calm(self) -> bool:
        world, control = self._world, self._world.control
        lans = world.lans.values()
        settled = all(
            lan.epoch == control.ledger.mode.epoch
            and not subject_of(lan.asking, (), lan.process.now_s())
            and lan.mode.mode is Mode.NORMAL
            and lan.broker == "ok"
            for lan in lans
        )
        views = [control.kinds, *(lan.kinds for lan in lans)]
        kinds = [kind for view in views for kind in view.values()]
        timers = [control.beat_timer, *(lan.beat_timer for lan in lans)]
        return (
            settled
            and all(kind is Kind.UP for kind in kinds)
            and all(record.verdict is Kind.UP for record in control.ledger.lans())
            and all(timer.number > STEADY_BEATS for timer in timers)
            and all(self._untroubled(self.watch(site)) for site in SITES)
        )

    @staticmethod
    def _untroubled(watch: Watch) -> bool:
        return all(
            not p.history.suspected and not any(p.late) for p in watch.hearing._peers.values()
        )

    def watch(self, site: str) -> Watch:
        return self._world.control.watch if site == CONTROL else self._world.lans[site].watch

    def _timer(self, site: str) -> Timer:
        control, lans = self._world.control, self._world.lans
        return control.beat_timer if site == CONTROL else lans[site].beat_timer

    # -- the state after it -------------------------------------------------------------------

    def _leap(self, to: int) -> None:
        world = self._world
        world.queue.forget_agents()
        first = {site: self._timer(site).number for site in SITES}
        for process in (world.control.process, *(lan.process for lan in world.lans.values())):
            for timer in process.timers:
                self._move(timer, to)
        for sender in SITES:
            for by in SITES:
                if sender != by:
                    self._beats(sender, by, first[sender], to)
        for site in SITES:
            self._own(site, first[site], to)
        self._database(to)

    def _move(self, timer: Timer, to: int) -> None:
        world = self._world
        left_out = timer.leap(to)
        if timer is world.control.relay_timer:
            world.control.ledger.tokens += left_out
            world.figures.publications += left_out
            world.checks.leap_tokens(world.control.ledger.tokens)

    def _beats(self, sender: str, by: str, first: int, to: int) -> None:
        """What `by` knows of `sender` after all its beats until `to`."""
        world, timer = self._world, self._timer(sender)
        writer, reader = self.watch(sender), self.watch(by)
        peer, clock = reader.hearing._peers[sender], world.clocks[by]
        # Beat number n carries the row with this number and n:
        base = writer._seq + 1 - first
        begin = peer.direct_seq + 1 - base
        begin = max(begin, timer.number - TIMING.window - 4)
        way, row = (OVERLAY, sender, by), writer.own_row()
        assert row is not None
        arrivals = []
        for number in range(begin, timer.number):
            arrival = world.network.calm_arrival(way, timer.tick(number))
            signed = SignedRow(replace(row.row, seq=base + number), "", "")
            if arrival > to:
                world.post(sender, by, arrival, Beat(signed))
                continue
            arrivals.append(arrival)
            last = signed
        if arrivals:
            peer.history = _heard(peer.history, arrivals, clock)
            peer.direct_seq = last.row.seq
            reader.hearing._rows[sender] = Kept(last, clock.s(arrivals[-1]))
            world.checks.contacts.leap(sender, by, arrivals[-1])

    def _own(self, site: str, first: int, to: int) -> None:
        """Its own row, its looks, the public path."""
        watch, timer, clock = self.watch(site), self._timer(site), self._world.clocks[site]
        left_out = timer.number - first
        row = watch.own_row()
        assert row is not None
        watch._seq += left_out
        signed = SignedRow(replace(row.row, seq=watch._seq), "", "")
        watch.hearing.own(signed, clock.s(timer.tick(timer.number - 1)))
        for name, peer in watch.hearing._peers.items():
            peer.late.extend([False] * min(left_out, peer.late.maxlen or 0))
            if CONTROL in (site, name):
                peer.https_s = clock.s(to)
        if site in LANS:
            lan = self._world.lans[site]
            lan.beats_since_report = (lan.beats_since_report + left_out) % int(HEARTBEAT_S)

    def _database(self, to: int) -> None:
        control = self._world.control
        wall_s = control.clock.wall_s(to)
        for site, record in control.ledger.sites.items():
            record.row, record.row_wall_s = self.watch(site).own_row(), wall_s
            record.verdict_wall_s = wall_s
            control.taken_at(site, wall_s)


def _heard(history: History, arrivals: list[int], clock: Clock) -> History:
    """As `detector.heard` for each of them, in a calm network."""
    times = [clock.s(tick) for tick in arrivals]
    if len(times) <= TIMING.window and history.last_s is not None:
        times.insert(0, history.last_s)
    gaps = [b - a for a, b in pairwise(times)]
    intervals = (*history.intervals_s, *gaps)[-TIMING.window :]
    return replace(history, intervals_s=intervals, last_s=times[-1], good_beats=0)
