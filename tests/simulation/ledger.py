"""What the control plane's database holds of all this; it outlives its processes."""

from dataclasses import dataclass, field

from fleet.policy.lease import Lease
from fleet.policy.modes import ModeState
from fleet.policy.recovery import Stage
from fleet.policy.verdict import Kind
from probes.watch.signed import SignedRow
from tests.simulation.network import LANS, SITES

NEVER_S = float("-inf")


@dataclass(slots=True)
class SiteRecord:
    """`*_wall_s` are moments of the control plane's wall clock, as in the database."""

    verdict: Kind | None = None
    verdict_wall_s: float = NEVER_S
    recovery: Stage | None = None
    row: SignedRow | None = None
    row_wall_s: float = NEVER_S
    clock_offset_s: float = 0.0
    epoch: int = 0
    broker: str = "unknown"
    unsent: int = 0


@dataclass(slots=True)
class Ledger:
    mode: ModeState = field(default_factory=lambda: ModeState(epoch=1))
    lease: Lease = field(default_factory=Lease)
    first_granted_wall_s: float = 0.0
    sites: dict[str, SiteRecord] = field(default_factory=lambda: {s: SiteRecord() for s in SITES})
    #: Attempts that were ever issued here.
    tokens: int = 0
    #: How long the standby was active in this month.
    month_s: float = 0.0
    loop_starts: int = 0

    def recovering(self) -> dict[str, Stage]:
        return {s: r.recovery for s, r in self.sites.items() if r.recovery is not None}

    def lans(self) -> list[SiteRecord]:
        return [self.sites[site] for site in LANS]
