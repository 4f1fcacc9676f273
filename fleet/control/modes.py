"""The fleet's mode, kept in the ledger: observed, decided by the policy, changed by
compare-and-set."""

import logging
from collections.abc import Mapping
from datetime import datetime

from django.db.models import F

from fleet.control.events import note
from fleet.control.leases import current_lease, is_live
from fleet.models import FleetState, Maintenance, Override, Site
from fleet.policy.modes import Evidence, Mode, ModeState, broken_invariants, next_mode
from fleet.policy.recovery import Stage
from fleet.policy.timing import Timing
from fleet.policy.verdict import Kind
from probes.watch.watcher import Snapshot
from tasks.boot import boot_s

log = logging.getLogger(__name__)
WHO = "control plane"


class ModeKeeper:
    """One `step` makes at most one transition."""

    def __init__(self, site: str, timing: Timing) -> None:
        self._site, self._timing = site, timing
        self._alone_since_s: float | None = None

    def step(self, snapshot: Snapshot, now: datetime) -> ModeState:
        """The mode after this step; a change is written down with its reason."""
        if not snapshot.verdicts:
            return current_mode()
        row, _ = FleetState.objects.get_or_create(pk=1, defaults={"since": now})
        before = _state(row)
        evidence = self._evidence(snapshot, now)
        after, reason = next_mode(before, evidence, self._timing)
        if after == before:
            FleetState.objects.filter(pk=1, epoch=before.epoch).exclude(reason=reason[:300]).update(
                reason=reason[:300]
            )
            return before
        broken = broken_invariants(before, after, evidence, self._timing)
        if broken:
            log.error("the mode stays %s: %s", before.mode, "; ".join(broken))
            return before
        return self._change(before, after, reason, now)

    def _change(self, before: ModeState, after: ModeState, reason: str, now: datetime) -> ModeState:
        changed = FleetState.objects.filter(pk=1, epoch=before.epoch).update(
            mode=after.mode.value,
            site=after.site,
            epoch=after.epoch,
            since=now,
            reason=reason[:300],
        )
        if not changed:
            return current_mode()
        note("mode", "fleet", _words(before), _words(after), reason, WHO, now)
        return after

    def _evidence(self, snapshot: Snapshot, now: datetime) -> Evidence:
        kinds = {site: v.kind for site, v in snapshot.verdicts.items()}
        lease = current_lease()
        return Evidence(
            me=self._site,
            control=self._site,
            kinds=kinds,
            alone_s=self._alone_s(kinds),
            lease_free=not is_live(lease, self._timing),
            lease_down=lease.down,
            recovering=recovering(),
            maintained=maintained(now),
            asserted_down=asserted_down(now),
        )

    def _alone_s(self, kinds: Mapping[str, Kind]) -> float:
        """For how long nobody was heard on any path."""
        if kinds.get(self._site) is not Kind.SELF_ISOLATED:
            self._alone_since_s = None
            return 0.0
        now_s = boot_s()
        if self._alone_since_s is None:
            self._alone_since_s = now_s
        return max(now_s - self._alone_since_s, 0.001)


def current_mode() -> ModeState:
    """The mode as the ledger has it."""
    row = FleetState.objects.filter(pk=1).first()
    return _state(row) if row else ModeState(epoch=1)


def recovering() -> dict[str, Stage]:
    """The sites that are on their way back, and how far they are."""
    found = Site.objects.exclude(recovery="").values_list("pk", "recovery")
    return {site: Stage(stage) for site, stage in found}


def maintained(now: datetime) -> frozenset[str]:
    """The sites whose planned stop has begun and has not run out."""
    found = Maintenance.objects.filter(ended_at=None, began_at__lte=now, until__gt=now)
    return frozenset(found.values_list("site_id", flat=True))


def asserted_down(now: datetime) -> frozenset[str]:
    """The sites that an operator says are down, while that word counts."""
    found = Override.objects.filter(ended_at=None, expires_at__gt=now)
    return frozenset(str(site) for row in found for site in row.asserted)


def end_expired(now: datetime) -> None:
    """Planned stops and overrides end by themselves."""
    for row in Maintenance.objects.filter(ended_at=None, until__lte=now):
        Maintenance.objects.filter(pk=row.pk, ended_at=None).update(ended_at=F("until"))
        note("maintenance", row.site_id, "planned stop", "over", "its time is over", WHO, now)
    for override in Override.objects.filter(ended_at=None, expires_at__lte=now):
        Override.objects.filter(pk=override.pk, ended_at=None).update(ended_at=F("expires_at"))
        note("override", "fleet", str(override.epoch), "over", "its time is over", WHO, now)


def _state(row: FleetState) -> ModeState:
    return ModeState(mode=Mode(row.mode), site=row.site, epoch=row.epoch)


def _words(state: ModeState) -> str:
    return f"{state.mode} {state.site}".strip()
