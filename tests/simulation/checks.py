"""What must hold, judged from outside: by true time, by what arrived, and by the contracts of
the lease on the grantor's own clock. No policy function is asked, so none can excuse itself."""

from typing import TYPE_CHECKING

from fleet.policy import modes, tokens
from fleet.policy.certificate import Certificate
from fleet.policy.lease import Lease
from fleet.policy.modes import FLEET_MODES, Evidence, Mode, ModeState
from fleet.policy.timing import TIMING
from tests.simulation.clock import seconds, ticks
from tests.simulation.contacts import Contacts
from tests.simulation.network import CONTROL, LANS, SITES, STANDBY

if TYPE_CHECKING:
    from tests.simulation.world import World

#: A clock may be off by so much in each direction.
DRIFT = 0.01
#: The relay looks at the mode this often, and needs a moment.
MODE_IS_KNOWN_AFTER = ticks(0.6)
QUIET = ticks(600.0)
LOOK_AGAIN = ticks(60.0)


class ViolationError(AssertionError):
    """A promise of the fleet was broken."""


class Checks:
    def __init__(self, world: "World") -> None:
        self.world = world
        self.contacts = Contacts()
        #: What the grantor really has given out: generation -> (activator, lost site).
        self._purposes: dict[int, tuple[str, str]] = {}
        self._terms: dict[int, str] = {}
        self._granted_at = 0
        self._started: set[int] = set()
        self._token = 0
        self._mode_since = 0
        self.last_damped = -QUIET
        self._lease_was_live = False
        self.broken: list[str] = []

    def fail(self, sentence: str) -> None:
        """End the run, or where it is to go on, write it down."""
        if not self.world.goes_on:
            raise ViolationError(sentence)
        self.broken.append(f"{seconds(self.world.queue.now):.3f} s: {sentence}")
        self.world.note("BROKEN", sentence)

    # -- what was heard -----------------------------------------------------------------------

    def heard(self, sender: str, by: str) -> None:
        self.contacts.heard(sender, by, self.world.queue.now)

    def reported(self, site: str) -> None:
        self.contacts.reported(site, self.world.queue.now)

    # -- certificates and leases --------------------------------------------------------------

    def certified(self, found: Certificate) -> None:
        known = self._terms.setdefault(found.term, found.subject)
        if known != found.subject:
            self.fail(f"two certificates in term {found.term}: {known} and {found.subject}")

    def granted(self, before: Lease, lease: Lease, new: bool) -> None:
        now = self.world.queue.now
        purpose = (lease.activator, lease.down)
        if new:
            if before.generation and not self.is_over(before):
                was = (before.activator, before.down)
                if was != purpose:
                    self.fail(
                        f"I5: lease {before.generation} for {was} was given away to {purpose}"
                    )
            if lease.generation <= before.generation:
                self.fail(f"I8: lease {lease.generation} after {before.generation}")
            self._activation(lease.down, "lease")
            self.world.figures.activations += 1
        elif self._purposes.get(lease.generation) != purpose:
            self.fail(f"I5: lease {lease.generation} changed hands to {purpose}")
        self._purposes[lease.generation] = purpose
        self._granted_at = now

    def _activation(self, lost: str, what: str) -> None:
        now = self.world.queue.now
        if self.contacts.control_hears(lost, now):
            self.fail(f"I6: {what} against {lost}, which the control plane hears")
        away_s = seconds(now - self.contacts.last[lost])
        if away_s < TIMING.confirm_s * (1 - 2 * DRIFT):
            self.world.figures.false_activations += 1
            self.fail(f"{what} against {lost}, which was away for {away_s:.1f} s only")

    def is_over(self, lease: Lease) -> bool:
        """By the contract, on the grantor's clock; after a boot it counts from the boot."""
        clock = self.world.control.clock
        since_s = lease.granted_s if lease.boot_id == clock.boot_id else 0.0
        return clock.s(self.world.queue.now) - since_s >= TIMING.lease_ttl_s * (1 + DRIFT)

    # -- the holder ---------------------------------------------------------------------------

    def after(self) -> None:
        """After every event: the holder's belief lies within the grantor's."""
        standby = self.world.standby
        if standby.process.alive and not standby.process.paused and standby.allowed():
            self._believes(standby.word.generation if standby.word else 0, "believes")

    def _believes(self, generation: int, what: str) -> None:
        lease = self.world.control.ledger.lease
        if generation < 1:
            self.fail(f"I5: the standby {what} without a lease")
        if self.is_over(lease):
            age_s = seconds(self.world.queue.now - self._granted_at)
            self.fail(f"I5: the standby {what} {age_s:.1f} s after the last renewal")
        if self._purposes.get(generation) != (lease.activator, lease.down):
            self.fail(f"I5: the standby {what} under {generation}, valid is {lease.generation}")
        mode = self.world.control.ledger.mode
        if mode.mode is Mode.FAILOVER and mode.site != lease.down:
            self.fail(f"I10: failover of {mode.site}, and the standby {what} for {lease.down}")

    def started(self, generation: int) -> None:
        """A task starts on the standby."""
        now, figures = self.world.queue.now, self.world.figures
        figures.starts += 1
        after_s = seconds(now - self._granted_at)
        figures.last_start_after_renewal_s.append(after_s)
        if len(figures.last_start_after_renewal_s) > 1000:
            figures.last_start_after_renewal_s = [max(figures.last_start_after_renewal_s)]
        figures.starts_after_expiry += after_s > TIMING.lease_ttl_s * (1 + DRIFT)
        self._believes(generation, "starts a task")
        if generation not in self._started:
            self._started.add(generation)
            lost = self._purposes[generation][1]
            away_s = seconds(now - self.contacts.last[lost])
            figures.first_start_after_s.append(away_s)
            self.world.note(STANDBY, "starts its first task under", generation)

    # -- modes --------------------------------------------------------------------------------

    def mode(self, before: ModeState, after: ModeState) -> None:
        if after.epoch <= before.epoch:
            self.fail(f"I8: {after.mode} in epoch {after.epoch} after {before.epoch}")
        figures = self.world.figures
        if after.mode is Mode.FAILOVER:
            figures.failovers += 1
            if before.mode is Mode.FAILOVER:
                self.fail(f"I10: failover of {after.site} right after that of {before.site}")
            lease = self.world.control.ledger.lease
            if lease.generation and lease.down != after.site and not self.is_over(lease):
                self.fail(f"I10: failover of {after.site}, the lease for {lease.down} lives")
            self._activation(after.site, "failover")
        if after.mode is Mode.MINIMAL:
            figures.minimal += 1
        self._mode_since = self.world.queue.now
        self.world.back_to(before, after)

    def refused_mode(self, before: ModeState, after: ModeState, broken: tuple[str, ...]) -> None:
        self.fail(f"the rules want {after} after {before}, which breaks: {'; '.join(broken)}")

    def lan_mode(self, site: str, before: ModeState, after: ModeState, evidence: Evidence) -> None:
        broken = modes.broken_invariants(before, after, evidence, TIMING)
        if broken:
            self.fail(f"{site}: {after.mode} breaks: {'; '.join(broken)}")
        if after.mode not in FLEET_MODES and after.epoch != before.epoch:
            self.fail(f"I8: {site} counted the epoch up by itself")

    def published(self, token: int, read: Mode) -> None:
        if token <= self._token:
            self.fail(f"I8: token {token} after {self._token}")
        self._token = token
        self.world.figures.publications += 1
        minimal = self.world.control.ledger.mode.mode is Mode.MINIMAL
        if minimal and self.world.queue.now - self._mode_since > MODE_IS_KNOWN_AFTER:
            self.fail(f"I7: published in minimal mode (the relay knew of {read})")

    def leap_tokens(self, counter: int) -> None:
        """Tokens were issued while calm was left out."""
        self._token = max(self._token, tokens.make_token(counter, 0))

    # -- in the end all is well ---------------------------------------------------------------

    def judged(self) -> None:
        """Once a second, after the control plane has judged."""
        control = self.world.control
        if any(control.watch_memory(lan).suppressed for lan in LANS):
            self.last_damped = self.world.queue.now
        live = control.lease_live()
        if self._lease_was_live and not live and not self.world.faults_active:
            down = control.ledger.sites[control.ledger.lease.down]
            if down.recovery is not None and not control.is_cooling(control.ledger.lease.down):
                self.world.figures.lapses_while_ramping += 1
                self.world.note(
                    CONTROL, "the lease ran out while", control.ledger.lease.down, "was ramping"
                )
        self._lease_was_live = live

    def quiet(self, healed_at: int) -> None:
        """Ten minutes after the last fault was healed (or later, while damping holds on)."""
        world = self.world
        if world.faults_active or world.last_change != healed_at:
            return
        if world.queue.now - self.last_damped < QUIET:
            world.figures.quiet_put_off += 1
            world.plan(world.queue.now + LOOK_AGAIN, self.quiet, healed_at)
            return
        world.figures.quiet_checks += 1
        restless = self._restless()
        if restless:
            self.fail(f"L2: healed for {seconds(world.queue.now - healed_at):.0f} s, {restless}")

    def _restless(self) -> str:
        world, ledger = self.world, self.world.control.ledger
        if ledger.mode.mode is not Mode.NORMAL:
            return f"and the mode is {ledger.mode.mode} {ledger.mode.site}"
        if ledger.lease.generation and not self.is_over(ledger.lease):
            return "and the lease is not free"
        if ledger.recovering():
            return f"and not yet back: {ledger.recovering()}"
        views = {
            **{lan.site: lan.kinds for lan in world.lans.values()},
            CONTROL: world.control.kinds,
        }
        for site in SITES:
            wrong = {s: k for s, k in views[site].items() if k != "up"}
            if wrong:
                return f"and {site} finds {wrong}"
        local = [
            f"{lan.site} is in {lan.mode.mode}"
            for lan in world.lans.values()
            if lan.mode.mode is not Mode.NORMAL
        ]
        return f"and {local[0]}" if local else ""
