"""A LAN's agent: `probes.agent` without its journal.

Follows `probes.agent.agent` (`_beat`, `_report`, `_activate`), `probes.agent.activator` and
`probes.agent.word` step by step; the watch is the fleet's own.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleet.policy import modes
from fleet.policy.asking import Asking, answered, pause_s, subject_of
from fleet.policy.confirmation import held_s
from fleet.policy.intake import Intake
from fleet.policy.lease import Ask
from fleet.policy.liveness import HEARTBEAT_S
from fleet.policy.modes import Evidence, Mode, ModeState
from fleet.policy.rows import Row
from fleet.policy.timing import TIMING
from fleet.policy.verdict import Kind
from probes.watch.datagram import Beat, Relayed
from probes.watch.signed import SignedRow
from probes.watch.state import OwnState, Snapshot, Watch, down
from tests.simulation.clock import Clock
from tests.simulation.events import Process
from tests.simulation.network import CONTROL, SITES

if TYPE_CHECKING:
    from tests.simulation.world import World

ROWS_A_START = 1 << 32  # as `probes.watch.place`
WORD_HOLDS_S = 60.0  # as `probes.agent.word`
OBSERVE_EVERY_S = 5.0
LEASE_TIMEOUT_S = 5.0
REPORT_TIMEOUT_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0  # as `probes.agent.loops`


def sign(row: Row) -> SignedRow:
    """Nobody forges rows here; that signatures are checked is tested with real ones."""
    return SignedRow(row, "", "")


@dataclass(frozen=True, slots=True)
class Report:
    """What of a heartbeat matters here."""

    site: str
    row: SignedRow | None
    wall_s: float
    epoch: int
    broker: str
    unsent: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What of the answer to it matters here."""

    epoch: int
    rows: tuple[Relayed, ...]
    intake: tuple[float, bool, str] | None


class Lan:
    def __init__(self, world: "World", site: str, clock: Clock) -> None:
        self.world, self.site, self.clock = world, site, clock
        self.process = Process(world.queue, site, clock)
        self.peers = tuple(s for s in SITES if s != site)
        self.epoch = 0  # kept on its disk, as is the number of starts
        self._starts = 0
        self.mode = ModeState()
        self._begin()

    def _begin(self) -> None:
        self._starts += 1
        self.watch = Watch(self.site, SITES, CONTROL, sign, self._starts * ROWS_A_START, TIMING)
        self.snapshot = Snapshot(self.process.now_s(), {}, {}, {})
        self.kinds: dict[str, Kind] = {}
        self.broker = "unknown"
        self.word: Intake | None = None
        self._unsent = 1
        self.beats_since_report = 0
        self._reporting = False
        self.asking, self.next_ask_s = Asking(), 0.0
        self._asking, self._pause_s = False, FIRST_PAUSE_S
        phase = self.world.phase(self.site)
        self.beat_timer = self.process.every(TIMING.beat_s, self._beat, phase)
        self.process.every(OBSERVE_EVERY_S, self._observe, phase + 1)

    def boot(self) -> None:
        self.clock.reboot(self.world.queue.now)
        self.process.start()
        self._begin()

    # -- beats --------------------------------------------------------------------------------

    def _beat(self) -> None:
        now_s = self.process.now_s()
        own = OwnState(epoch=self.epoch, broker=self.broker, workers_age_s=0.0)
        self.snapshot, beats = self.watch.beat(own, now_s, self.peers)
        for peer, beat in beats.items():
            self.world.send_beat(self.site, peer, beat)
        changed = self.world.note_verdicts(self.site, self.kinds, self.snapshot)
        calm = all(kind is Kind.UP for kind in self.kinds.values())
        if changed or not calm or self.mode.mode is not Mode.NORMAL:
            self._own_mode()
        self.beats_since_report += 1
        if not self._reporting and (
            not calm or self.beats_since_report >= HEARTBEAT_S / TIMING.beat_s
        ):
            self._report()
        self._activate(now_s)

    def hear(self, sender: str, beat: Beat) -> None:
        self.watch.take(beat, self.process.now_s())
        self.world.checks.heard(sender, self.site)

    def _own_mode(self) -> None:
        """As `probes.agent.modes`."""
        memory = self.snapshot.memories[self.site]
        evidence = Evidence(
            me=self.site,
            control=CONTROL,
            kinds=self.kinds,
            alone_s=held_s(memory, Kind.SELF_ISOLATED, self.snapshot.at_s),
        )
        before = ModeState(mode=self.mode.mode, site=self.mode.site, epoch=self.epoch)
        for _ in Mode:
            after, reason = modes.next_mode(before, evidence, TIMING)
            if after.mode is not before.mode:
                self.world.checks.lan_mode(self.site, before, after, evidence)
                self.world.note(self.site, "mode", before.mode, "->", after.mode, "--", reason)
            before = after
        self.mode = before

    def _observe(self) -> None:
        self.broker = self.world.broker.answer(self.site)

    # -- reports ------------------------------------------------------------------------------

    def _report(self) -> None:
        self._reporting, self.beats_since_report = True, 0
        report = Report(
            site=self.site,
            row=self.watch.own_row(),
            wall_s=self.clock.wall_s(self.world.queue.now),
            epoch=self.epoch,
            broker=self.broker,
            unsent=self._unsent,
        )
        self.world.ask_api(
            self.process,
            self.site,
            REPORT_TIMEOUT_S,
            lambda: self.world.control.api.take_report(report),
            self._reported,
            self._not_reported,
        )

    def _reported(self, answer: Answer) -> None:
        self._reporting, self._unsent = False, 0
        now_s = self.process.now_s()
        self.watch.take_rows(answer.rows, now_s)
        self.watch.public_path(CONTROL, now_s)
        self.world.checks.reported(self.site)
        self.epoch = max(self.epoch, answer.epoch)
        self.word = None
        if answer.intake is not None:
            share, pinned_only, reason = answer.intake
            self.word = Intake(
                share=share,
                pinned_only=pinned_only,
                until_s=now_s + WORD_HOLDS_S,
                boot_id=self.clock.boot_id,
                reason=reason,
            )

    def _not_reported(self) -> None:
        self._reporting = False

    # -- the lease ----------------------------------------------------------------------------

    def _activate(self, now_s: float) -> None:
        lost = [site for site in down(self.snapshot) if site != CONTROL]
        subject = subject_of(self.asking, lost, now_s)
        if not subject or self._asking or now_s < self.next_ask_s:
            return
        self.next_ask_s = now_s + pause_s(granted=False)
        ask = Ask(
            activator=self.site,
            down=subject,
            evidence_age_s=round(now_s - self.snapshot.at_s, 3),
            generation=self.asking.generation,
            epoch=self.epoch,
        )
        self._asking = True
        self.world.ask_api(
            self.process,
            self.site,
            LEASE_TIMEOUT_S,
            lambda: self.world.control.api.ask_lease(ask),
            lambda said: self._granted(subject, said, now_s),
            self._not_granted,
        )

    def _granted(self, subject: str, said: tuple[bool, int, str], sent_s: float) -> None:
        granted, generation, _reason = said
        self._asking, self._pause_s = False, FIRST_PAUSE_S
        self.asking = answered(
            self.asking, subject, granted=granted, generation=generation, now_s=sent_s
        )
        self.next_ask_s = sent_s + pause_s(granted=granted)

    def _not_granted(self) -> None:
        """The loop of the agent waits after an error, longer each time."""
        self._asking = False
        self.next_ask_s = max(self.next_ask_s, self.process.now_s() + self._pause_s)
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
