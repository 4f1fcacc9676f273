"""The standby machine: awake while a lease is live or a site is suspected, else asleep."""

import logging
from datetime import datetime, timedelta

from django.db.models import F

from fleet.control.events import note
from fleet.control.leases import current_lease, is_live
from fleet.control.machines.protocol import Machines
from fleet.models import ActivationLease, Attempt, Site, StandbyMonth
from fleet.policy.activation import Act, Machine, MachineDeed, step
from fleet.policy.errors import FleetError
from fleet.policy.states import AttemptStatus
from fleet.policy.timing import Timing
from fleet.policy.verdict import Kind
from tasks.boot import boot_s

log = logging.getLogger(__name__)
WHO = "control plane"
#: A judgement older than this does not wake a machine.
FRESH = timedelta(seconds=10)
_WORDS = {
    "replacing": Machine.STARTING,
    "destroying": Machine.ABSENT,
    "destroyed": Machine.ABSENT,
}


class StandbyKeeper:
    """One `step` looks at the machine and makes at most one call to its provider."""

    def __init__(self, machines: Machines, machine_id: str, site: str, timing: Timing) -> None:
        self._machines, self._id = machines, machine_id
        self._site, self._timing = site, timing
        self._state = Machine.UNKNOWN
        self._since_s = self._looked_s = boot_s()

    def step(self, now: datetime) -> MachineDeed:
        """What was done, or why nothing was."""
        self._see(self._look(), now)
        deed = step(
            self._state,
            lease_live=is_live(current_lease(), self._timing),
            prewarm=self._suspects(now),
            since_s=boot_s() - self._since_s,
            busy=self._busy(),
            timing=self._timing,
        )
        self._apply(deed, now)
        return deed

    def _look(self) -> Machine:
        try:
            word = self._machines.get(self._id).state
        except FleetError as error:
            log.info("standby machine: %s", error)
            return Machine.UNKNOWN
        if word in _WORDS:
            return _WORDS[word]
        return Machine(word) if word in list(Machine) else Machine.UNKNOWN

    def _see(self, state: Machine, now: datetime) -> None:
        passed_s = boot_s() - self._looked_s
        self._looked_s = boot_s()
        if state is Machine.STARTED:
            month, _ = StandbyMonth.objects.get_or_create(pk=f"{now:%Y-%m}")
            StandbyMonth.objects.filter(pk=month.pk).update(active_s=F("active_s") + passed_s)
        if state is self._state:
            return
        note("machine", "standby", self._state.value, state.value, "its provider says so", WHO, now)
        self._state, self._since_s = state, boot_s()
        row, _ = ActivationLease.objects.get_or_create(pk=1)
        ActivationLease.objects.filter(pk=row.pk).update(machine=state.value, machine_since=now)

    def _suspects(self, now: datetime) -> bool:
        """Waking it early costs next to nothing, and saves seconds when they count."""
        return (
            Site.objects.exclude(pk=self._site)
            .filter(verdict__in=(Kind.SUSPECT, Kind.DOWN), verdict_at__gte=now - FRESH)
            .exists()
        )

    def _busy(self) -> int:
        return Attempt.objects.filter(site=self._site, status=AttemptStatus.RUNNING).count()

    def _apply(self, deed: MachineDeed, now: datetime) -> None:
        row, _ = ActivationLease.objects.get_or_create(pk=1)
        if row.machine_reason != deed.reason[:300]:
            ActivationLease.objects.filter(pk=1).update(machine_reason=deed.reason[:300])
        calls = {
            Act.START: self._machines.start,
            Act.STOP: self._machines.stop,
            Act.SUSPEND: self._machines.suspend,
        }
        call = calls.get(deed.act)
        if call is None:
            return
        try:
            call(self._id)
        except FleetError as error:
            log.warning("standby machine, %s: %s; trying again", deed.act, error)
            return
        note("machine", "standby", self._state.value, deed.act.value, deed.reason, WHO, now)
