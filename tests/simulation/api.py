"""The control plane's API process: reports, the lease, the permit.

Follows `fleet.control.leases`, `fleet.ledger.heartbeat` and `fleet.ledger.word`.
"""

from typing import TYPE_CHECKING

from fleet.policy import certificate as certificates
from fleet.policy import lease as leases
from fleet.policy.budget import Spent
from fleet.policy.certificate import Certificate, Refusal, Vote
from fleet.policy.lease import Ask, Lease, Own
from fleet.policy.matrix import Link
from fleet.policy.recovery import Stage, share
from fleet.policy.timing import TIMING
from fleet.policy.verdict import Kind
from probes.watch.datagram import Relayed
from tests.simulation.events import Process
from tests.simulation.lan import Answer, Report
from tests.simulation.network import CONTROL

if TYPE_CHECKING:
    from tests.simulation.control import Control

JUDGED_WITHIN_S = 10.0
HEARD = frozenset(Kind) - {Kind.DOWN, Kind.SUSPECT, Kind.UNKNOWN, Kind.SELF_ISOLATED}
CANARY_SHARE = 0.01


class Api:
    def __init__(self, control: "Control") -> None:
        self._control, self._ledger = control, control.ledger
        self.world = control.world
        self.process = Process(control.world.queue, "api", control.clock)

    # -- reports ------------------------------------------------------------------------------

    def take_report(self, report: Report) -> Answer:
        wall_s = self._control.wall_s()
        record = self._ledger.sites[report.site]
        record.clock_offset_s = round(report.wall_s - wall_s, 3)
        record.epoch, record.broker, record.unsent = report.epoch, report.broker, report.unsent
        if report.row is not None:
            record.row, record.row_wall_s = report.row, wall_s
        rows = tuple(
            Relayed(r.row, max(0, round((wall_s - r.row_wall_s) * 1000)) / 1000)
            for site, r in self._ledger.sites.items()
            if site != report.site and r.row is not None
        )
        return Answer(self._ledger.mode.epoch, rows, self._intake(report.site))

    def _intake(self, site: str) -> tuple[float, bool, str] | None:
        stage = self._ledger.sites[site].recovery
        if stage is None:
            return None
        canary = stage is Stage.CANARY
        return share(stage) or (CANARY_SHARE if canary else 0.0), canary, stage.value

    # -- the lease ----------------------------------------------------------------------------

    def ask_lease(self, request: Ask) -> tuple[bool, int, str]:
        own = self._own(request)
        before = self._ledger.lease
        answer = self._vetoed(request, own) or leases.ask(
            before,
            request,
            own,
            now_s=self._control.now_s(),
            boot_id=self._control.clock.boot_id,
            epoch=self._ledger.mode.epoch,
            spent=self._spent(),
            timing=TIMING,
        )
        if answer.granted:
            self._store(before, answer.lease, answer.reason)
        return answer.granted, answer.lease.generation, answer.reason

    def _own(self, request: Ask) -> Own:
        kind = self._judged(request.down)
        return Own(
            kind_of_down=kind,
            confirmed=kind is Kind.DOWN,
            hears_activator=self._judged(request.activator) in HEARD,
            hears_down=kind in HEARD,
            ramping=self._ledger.sites[request.down].recovery is not None,
        )

    def _judged(self, site: str) -> Kind:
        record = self._ledger.sites[site]
        fresh = self._control.wall_s() - record.verdict_wall_s <= JUDGED_WITHIN_S
        return record.verdict if fresh and record.verdict else Kind.UNKNOWN

    def _vetoed(self, request: Ask, own: Own) -> leases.Answer | None:
        lease, down = self._ledger.lease, request.down
        if own.ramping or self._renews(lease, request):
            return None
        votes = (
            Vote(
                site=request.activator,
                subject=down,
                kind=Kind.DOWN,
                row_seq=0,
                age_s=request.evidence_age_s,
            ),
            Vote(site=CONTROL, subject=down, kind=own.kind_of_down, row_seq=0, age_s=0.0),
        )
        issued = Certificate(subject=lease.down, term=lease.epoch, votes=())
        found = certificates.certify(
            down,
            votes,
            Link.UP if own.hears_activator else Link.DOWN,
            self._ledger.mode.epoch,
            TIMING,
            control=CONTROL,
            issued=issued if lease.generation else None,
        )
        if isinstance(found, Refusal):
            return leases.Answer(granted=False, lease=lease, reason=found.reason)
        self.world.checks.certified(found)
        return None

    def _renews(self, held: Lease, request: Ask) -> bool:
        same = (held.activator, held.down, held.generation) == (
            request.activator,
            request.down,
            request.generation,
        )
        return same and self.permit()[1] > 0

    def _spent(self) -> Spent:
        run_s = 0.0
        if self._control.lease_live():
            run_s = self._control.wall_s() - self._ledger.first_granted_wall_s
        return Spent(month_s=self._ledger.month_s, run_s=run_s)

    def _store(self, before: Lease, lease: Lease, reason: str) -> None:
        new = lease.generation != before.generation
        if new:
            self._ledger.first_granted_wall_s = self._control.wall_s()
            self.world.note(CONTROL, "lease", lease.generation, "for", lease.down, reason)
        self.world.checks.granted(before, lease, new)
        self._ledger.lease = lease

    def permit(self) -> tuple[int, float]:
        lease = self._ledger.lease
        left_s = leases.left_s(
            lease, now_s=self._control.now_s(), boot_id=self._control.clock.boot_id, timing=TIMING
        )
        return lease.generation, left_s
