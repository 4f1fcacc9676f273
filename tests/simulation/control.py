"""The control plane: its watch, its loop over modes and recoveries, its care for the standby.

Follows `fleet.control.watch`, `modes`, `recovering`, `standby` and the part of `loop` that asks
whether anything may be published.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleet.policy import activation, confirmation, minimal, modes, recovery, tokens
from fleet.policy import lease as leases
from fleet.policy.activation import Act, Machine
from fleet.policy.confirmation import Memory
from fleet.policy.minimal import Deed
from fleet.policy.modes import Evidence, Mode, ModeState
from fleet.policy.recovery import Facts, Recovery, Stage
from fleet.policy.timing import TIMING
from fleet.policy.verdict import Kind
from probes.watch.datagram import Beat, Relayed
from probes.watch.state import OwnState, Snapshot, Watch
from tests.simulation.api import JUDGED_WITHIN_S, Api
from tests.simulation.clock import Clock, ticks
from tests.simulation.events import AGENTS, Process
from tests.simulation.lan import ROWS_A_START, sign
from tests.simulation.ledger import Ledger
from tests.simulation.network import CONTROL, LANS, SITES

if TYPE_CHECKING:
    from tests.simulation.world import World

STANDBY_EVERY_S = 2.0
MODE_EVERY_S = 0.5
STEP_BACK_POINTS = 500.0
#: Between a verdict in the database and the mode that follows from it.
MOST_BETWEEN_S = 0.02
FENCED = (Kind.DOWN, Kind.SUSPECT, Kind.UNKNOWN)


@dataclass(slots=True)
class _Since:
    stage: Stage
    stage_s: float
    replica_s: float | None = None


class Control:
    """The machine at dc3: a database, an API process and the loop's process."""

    def __init__(self, world: "World", clock: Clock) -> None:
        self.world, self.clock, self.ledger = world, clock, Ledger()
        self.process = Process(world.queue, CONTROL, clock)
        self.api = Api(self)
        self.begin()

    def begin(self) -> None:
        """The loop's process starts; what it knew is gone."""
        self.ledger.loop_starts += 1
        first_seq = self.ledger.loop_starts * ROWS_A_START
        self.watch = Watch(CONTROL, SITES, CONTROL, sign, first_seq, TIMING)
        self.snapshot = Snapshot(self.now_s(), {}, {}, {})
        self.kinds: dict[str, Kind] = {}
        self._epoch = 0
        self._taken: dict[str, float] = {}
        self._alone_since_s: float | None = None
        self._since: dict[str, _Since] = {}
        self._canaries_at: dict[str, int] = {}
        self._machine, self._machine_since_s = Machine.UNKNOWN, self.now_s()
        self._looked_s = self.now_s()
        self._mode_read = self.ledger.mode.mode
        phase = self.world.phase(CONTROL)
        self.beat_timer = self.process.every(TIMING.beat_s, self._beat, phase)
        self.process.every(TIMING.beat_s, self._judge, phase + ticks(0.3))
        self.process.every(STANDBY_EVERY_S, self._keep_standby, phase + ticks(0.4))
        self.relay_timer = self.process.every(MODE_EVERY_S, self._relay, phase + ticks(0.1))

    def boot(self) -> None:
        """The whole machine."""
        self.clock.reboot(self.world.queue.now)
        self.process.kill()
        for process in (self.process, self.api.process):
            process.start()
        self.begin()

    def restart_loop(self) -> None:
        if not self.process.alive:
            self.process.start()
            self.begin()

    def now_s(self) -> float:
        return self.process.now_s()

    def wall_s(self) -> float:
        return self.clock.wall_s(self.world.queue.now)

    # -- the watch ----------------------------------------------------------------------------

    def _beat(self) -> None:
        own = OwnState(epoch=self._epoch, broker=self.world.broker.answer(CONTROL))
        self.snapshot, beats = self.watch.beat(own, self.now_s(), LANS)
        for peer, beat in beats.items():
            self.world.send_beat(CONTROL, peer, beat)
        self.world.note_verdicts(CONTROL, self.kinds, self.snapshot)

    def hear(self, sender: str, beat: Beat) -> None:
        self.watch.take(beat, self.now_s())
        self.world.checks.heard(sender, CONTROL)

    def _take_reported(self, site: str) -> None:
        record = self.ledger.sites[site]
        if record.row is None or self._taken.get(site) == record.row_wall_s:
            return
        self._taken[site] = record.row_wall_s
        age_s = max(0.0, self.wall_s() - record.row_wall_s)
        if age_s <= TIMING.https_beat_s:
            self.watch.public_path(site, self.now_s())
        rounded_s = round(age_s * 1000) / 1000
        self.watch.take_rows([Relayed(record.row, rounded_s)], self.now_s())

    # -- the loop -----------------------------------------------------------------------------

    def _judge(self) -> None:
        """Verdicts first; the mode follows in a transaction of its own, a moment later."""
        self._epoch = self.ledger.mode.epoch
        for lan in LANS:
            self._take_reported(lan)
        wall_s, snapshot = self.wall_s(), self.snapshot
        own = self.ledger.sites[CONTROL]
        own.row, own.row_wall_s = self.watch.own_row(), wall_s
        for site, verdict in snapshot.verdicts.items():
            record = self.ledger.sites[site]
            record.verdict, record.verdict_wall_s = verdict.kind, wall_s
        now = self.world.queue.now
        later = now + ticks(MOST_BETWEEN_S * self.world.network.chance(1, now))
        self.world.queue.at(later, AGENTS + 4, self.process.deliver, self._decide, snapshot)

    def _decide(self, snapshot: Snapshot) -> None:
        if snapshot.verdicts:
            self._next_mode(snapshot)
            self._recover(snapshot)
            self.world.consider_leap()

    def _next_mode(self, snapshot: Snapshot) -> None:
        before, evidence = self.ledger.mode, self._evidence(snapshot)
        after, reason = modes.next_mode(before, evidence, TIMING)
        if after == before:
            return
        broken = modes.broken_invariants(before, after, evidence, TIMING)
        if broken:
            self.world.checks.refused_mode(before, after, broken)
            return
        self.ledger.mode = after
        self.world.note(CONTROL, "mode", _words(before), "->", _words(after), reason)
        self.world.checks.mode(before, after)

    def _evidence(self, snapshot: Snapshot) -> Evidence:
        kinds = {site: v.kind for site, v in snapshot.verdicts.items()}
        return Evidence(
            me=CONTROL,
            control=CONTROL,
            kinds=kinds,
            alone_s=self._alone_s(kinds),
            lease_free=not self.lease_live(),
            lease_down=self.ledger.lease.down,
            recovering=self.ledger.recovering(),
        )

    def _alone_s(self, kinds: dict[str, Kind]) -> float:
        if kinds.get(CONTROL) is not Kind.SELF_ISOLATED:
            self._alone_since_s = None
            return 0.0
        if self._alone_since_s is None:
            self._alone_since_s = self.now_s()
        return max(self.now_s() - self._alone_since_s, 0.001)

    def lease_live(self) -> bool:
        return not leases.is_free(
            self.ledger.lease, now_s=self.now_s(), boot_id=self.clock.boot_id, timing=TIMING
        )

    def watch_memory(self, site: str) -> Memory:
        return self.snapshot.memories.get(site, Memory())

    def is_cooling(self, site: str) -> bool:
        return self.ledger.sites[site].recovery is Stage.COOL_DOWN

    def taken_at(self, site: str, wall_s: float) -> None:
        self._taken[site] = wall_s

    # -- sites that come back -----------------------------------------------------------------

    def _recover(self, snapshot: Snapshot) -> None:
        mode = self.ledger.mode
        if mode.mode is Mode.FAILOVER and self.ledger.sites[mode.site].recovery is None:
            self._to(mode.site, Stage.CATCH_UP, "it was declared down")
        for site in self.ledger.recovering():
            verdict = snapshot.verdicts.get(site)
            if verdict is not None and verdict.kind not in FENCED:
                self._advance(site, snapshot.memories.get(site, Memory()))

    def _advance(self, site: str, memory: Memory) -> None:
        stage = self.ledger.sites[site].recovery
        assert stage is not None
        since = self._since.get(site)
        if since is None or since.stage is not stage:
            since = _Since(stage, self.now_s(), since.replica_s if since else None)
            self._since[site] = since
        before = Recovery(stage=stage, since_s=since.stage_s)
        facts = self._facts(site, stage, since, memory)
        after, reason = recovery.advance(before, facts, self.now_s(), TIMING)
        if recovery.stepped_back(before, after):
            self.watch.penalise(site, STEP_BACK_POINTS, self.now_s())
            self.world.figures.step_backs += 1
        if after.stage is not stage:
            self._to(site, after.stage, reason)

    def _to(self, site: str, stage: Stage, reason: str) -> None:
        self.ledger.sites[site].recovery = None if stage is Stage.DONE else stage
        self._canaries_at.pop(site, None)
        self.world.note(CONTROL, "recovery", site, stage, reason)

    def _facts(self, site: str, stage: Stage, since: _Since, memory: Memory) -> Facts:
        record = self.ledger.sites[site]
        return Facts(
            clock_offset_s=record.clock_offset_s,
            version_ok=True,
            epoch_ok=record.epoch >= self.ledger.mode.epoch,
            replica_ok_for_s=self._replica_ok_for_s(record.broker, since),
            unsent_entries=record.unsent,
            open_attempts_unresolved=0,
            canaries_done=self._canaries_done(site) if stage is Stage.CANARY else 0,
            canaries_failed=0,
            error_share=0.0,
            p95_ratio=1.0,
            may_return=confirmation.may_return(memory, self.now_s(), TIMING)[0],
        )

    def _replica_ok_for_s(self, broker: str, since: _Since) -> float | None:
        if broker != "ok":
            since.replica_s = None
            return None
        if since.replica_s is None:
            since.replica_s = self.now_s()
        return self.now_s() - since.replica_s

    def _canaries_done(self, site: str) -> int:
        """They run in two to ten seconds in all."""
        now = self.world.queue.now
        until = self._canaries_at.setdefault(
            site, now + ticks(2 + 8 * self.world.network.chance(2, now))
        )
        return TIMING.canary_runs if now >= until else 0

    # -- the standby machine ------------------------------------------------------------------

    def _keep_standby(self) -> None:
        state = self.world.standby.look()
        now_s = self.now_s()
        if state is Machine.STARTED:
            self.ledger.month_s += now_s - self._looked_s
        self._looked_s = now_s
        if state is not self._machine:
            self._machine, self._machine_since_s = state, now_s
        deed = activation.step(
            state,
            lease_live=self.lease_live(),
            prewarm=self._suspects(),
            since_s=now_s - self._machine_since_s,
            busy=self.world.standby.busy(),
            timing=TIMING,
        )
        if deed.act not in (Act.NONE, Act.WAIT):
            self.world.standby.order(deed.act)

    def _suspects(self) -> bool:
        fresh_s = self.wall_s() - JUDGED_WITHIN_S
        return any(
            record.verdict in (Kind.SUSPECT, Kind.DOWN) and record.verdict_wall_s >= fresh_s
            for record in self.ledger.lans()
        )

    # -- the relay ----------------------------------------------------------------------------

    def _relay(self) -> None:
        """One new attempt and one that was published before, where the mode allows it."""
        for deed in (Deed.PUBLISH_NEW, Deed.PUBLISH_AGAIN, Deed.EXPIRE_LAN_LEASE):
            if not minimal.may(deed, self._mode_read).allowed:
                break
        else:
            self.ledger.tokens += 1
            self.world.checks.published(tokens.make_token(self.ledger.tokens, 0), self._mode_read)
        self._mode_read = self.ledger.mode.mode


def _words(state: ModeState) -> str:
    return f"{state.mode} {state.site} {state.epoch}"
