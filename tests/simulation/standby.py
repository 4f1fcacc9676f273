"""The standby machine, its provider, and the worker that starts tasks under a permit.

The agent follows `probes.agent.permit`, the worker `tasks.intake`: what may start is decided by
`fleet.policy.intake.limit` on the machine's own clock. That clock may stand still while the
machine is suspended, and the boot has the same name afterwards, as `tasks.boot` would see it.
"""

from typing import TYPE_CHECKING

from fleet.policy import intake as intakes
from fleet.policy import lease as leases
from fleet.policy.activation import Act, Machine
from fleet.policy.intake import Intake
from fleet.policy.lease import Permit
from fleet.policy.timing import TIMING
from tests.simulation.clock import Clock, ticks
from tests.simulation.events import AGENTS, Process
from tests.simulation.network import CONTROL, STANDBY

if TYPE_CHECKING:
    from tests.simulation.world import World

TIMEOUT_S = 2.0
ASKS_A_LEASE = 10
START_EVERY_S = 1.0
SLOTS = 4
TASK_S = 6.0
#: Calls to the provider take effect within these times.
RESUME_S, SUSPEND_S, COLD_S = (0.3, 3.0), (1.0, 4.0), (2.0, 6.0)


class Standby:
    def __init__(self, world: "World", clock: Clock) -> None:
        self.world, self.clock = world, clock
        self.process = Process(world.queue, STANDBY, clock)
        self.process.alive = False
        self.machine = Machine.SUSPENDED
        self._asleep_since: int | None = 0
        self._change = 0
        #: The provider does not answer, or refuses.
        self.provider_away = False
        self.word: Intake | None = None
        self._asking = False
        self._running: list[int] = []

    # -- the provider's side ------------------------------------------------------------------

    def look(self) -> Machine:
        return Machine.UNKNOWN if self.provider_away else self.machine

    def order(self, act: Act) -> None:
        if self.provider_away:
            return
        if act is Act.START:
            cold = self.machine in (Machine.STOPPED, Machine.FAILED, Machine.CREATED)
            self._become(Machine.STARTING)
            self._later(COLD_S if cold else RESUME_S, self._started, cold)
        elif act is Act.SUSPEND:
            self._become(Machine.SUSPENDING)
            self._later(SUSPEND_S, self._suspended)
        else:
            self._become(Machine.STOPPING)
            self._later(SUSPEND_S, self._stopped)

    def crash(self) -> None:
        """The machine dies and stays so until it is started again."""
        if self.machine is Machine.STARTED:
            self._change += 1
            self._stopped()

    def freeze(self, for_s: float) -> None:
        """The host stops the machine for a while, its clock too, and tells nobody.

        Nothing in the fleet's code notices this: it is not among the usual faults.
        """
        if self.machine is Machine.STARTED and self.process.alive and not self.process.paused:
            self.process.pause()
            now = self.world.queue.now
            self.world.queue.at(now + ticks(for_s), AGENTS, self._thaw, now)

    def busy(self) -> int:
        now = self.world.queue.now
        self._running = [end for end in self._running if end > now]
        return len(self._running)

    def _later(self, between_s: tuple[float, float], call: object, *args: object) -> None:
        now = self.world.queue.now
        least_s, most_s = between_s
        chance = self.world.network.chance(3, now)
        tick = now + ticks(least_s + (most_s - least_s) * chance)
        self.world.queue.at(tick, AGENTS, self._if_still, self._change, call, args)

    def _if_still(self, change: int, call: object, args: tuple[object, ...]) -> None:
        if change == self._change and callable(call):
            call(*args)

    def _become(self, state: Machine) -> None:
        self._change += 1
        self.machine = state
        self.world.note(STANDBY, "is", state)

    def _started(self, cold: bool) -> None:
        now = self.world.queue.now
        if cold:
            self.clock.reboot(now)
            self._running = []
        elif self._asleep_since is not None and self.world.network.chance(4, now) < 0.5:
            self.clock.stand_still(now - self._asleep_since)
        self._become(Machine.STARTED)
        self.process.start()
        self._asking = False
        self.process.every(TIMING.lease_ttl_s / ASKS_A_LEASE, self._ask, ticks(0.5))
        self.process.every(START_EVERY_S, self._work, ticks(0.2))

    def _suspended(self) -> None:
        self.process.kill()
        self._asleep_since = self.world.queue.now
        self._become(Machine.SUSPENDED)

    def _stopped(self) -> None:
        self.process.kill()
        self._asleep_since = None
        self._become(Machine.STOPPED)

    def _thaw(self, since: int) -> None:
        self.clock.stand_still(self.world.queue.now - since)
        self.world.note(STANDBY, "goes on after a freeze that it does not know of")
        self.process.resume(mail_first=False)

    # -- the machine's side -------------------------------------------------------------------

    def _ask(self) -> None:
        if self._asking:
            return
        self._asking = True
        sent_s, boot = self.process.now_s(), self.clock.boot_id
        self.world.web.ask(
            self.process,
            self.world.control.api.process,
            (STANDBY, CONTROL),
            TIMEOUT_S,
            self.world.control.api.permit,
            lambda said: self._take(
                Permit(generation=said[0], sent_s=sent_s, boot_id=boot, ttl_s=said[1])
            ),
            self._no_answer,
        )

    def _no_answer(self) -> None:
        self._asking = False

    def _take(self, permit: Permit) -> None:
        self._asking = False
        allowed = permit.ttl_s > 0
        self.word = Intake(
            share=1.0 if allowed else 0.0,
            until_s=leases.ends_s(permit, timing=TIMING),
            boot_id=permit.boot_id,
            generation=permit.generation,
            reason=f"lease {permit.generation}" if allowed else "no lease",
        )

    def allowed(self) -> int:
        """What the holder believes: how many tasks it may have at a time."""
        if not self.process.alive:
            return 0
        found, _reason = intakes.limit(
            self.word,
            slots=SLOTS,
            now_s=self.process.now_s(),
            boot_id=self.clock.boot_id,
            standby=True,
        )
        return found

    def _work(self) -> None:
        if self.busy() < self.allowed():
            now = self.world.queue.now
            self._running.append(now + ticks(TASK_S))
            self.world.checks.started(self.word.generation if self.word else 0)
