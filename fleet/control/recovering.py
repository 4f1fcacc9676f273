"""Sites that come back: what is observed of them, and the stage that follows."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, Sum

from fleet.control.canaries import Canaries
from fleet.control.events import note
from fleet.models import Attempt, FleetState, Journal, Site, TaskRun
from fleet.policy.confirmation import Memory, may_return
from fleet.policy.modes import Mode, ModeState
from fleet.policy.recovery import Facts, Recovery, Stage, advance, stepped_back
from fleet.policy.states import AttemptStatus
from fleet.policy.timing import Timing
from fleet.policy.verdict import Kind
from probes.watch.watcher import Snapshot
from tasks.boot import boot_s
from tasks.version import package_version

WHO = "control plane"
#: Redis counts as following when its link is up; what it lags is judged by Redis itself.
FOLLOWS = frozenset({"replica", "master"})
#: Shares of errors are taken over this many seconds.
RECENT = timedelta(seconds=60)
#: As much as half a declaration of "down".
STEP_BACK_POINTS = 500.0
#: With fewer runs a share says nothing.
LEAST_RUNS = 20


@dataclass(slots=True)
class _Since:
    """Moments of this process's clock, lost when it starts again: waiting begins anew then."""

    stage: Stage
    stage_s: float
    replica_s: float | None = None


class RecoveryKeeper:
    """One `step` looks at every site that is lost or coming back."""

    def __init__(
        self, timing: Timing, penalise: Callable[[str, float], None] = lambda site, points: None
    ) -> None:
        """`penalise` tells damping of a site that had to step back."""
        self._timing, self._penalise = timing, penalise
        self._since: dict[str, _Since] = {}
        self._canaries = Canaries()

    def step(self, snapshot: Snapshot, mode: ModeState, now: datetime) -> None:
        self._fence(snapshot, mode, now)
        for site in Site.objects.exclude(recovery=""):
            verdict = snapshot.verdicts.get(site.pk)
            if verdict is not None and verdict.kind not in (Kind.DOWN, Kind.SUSPECT, Kind.UNKNOWN):
                self._advance(site, snapshot.memories.get(site.pk, Memory()), now)

    def _fence(self, snapshot: Snapshot, mode: ModeState, now: datetime) -> None:
        """A site that is down comes back through all stages, whenever that will be: also one
        that was on its way back when it was lost again."""
        if mode.mode is not Mode.FAILOVER:
            return
        was = Site.objects.values_list("recovery", flat=True).get(pk=mode.site)
        changed = (
            Site.objects.filter(pk=mode.site)
            .exclude(recovery=Stage.CATCH_UP.value)
            .update(
                recovery=Stage.CATCH_UP.value,
                recovery_since=now,
                recovery_reason="it was declared down",
            )
        )
        if changed:
            note("recovery", mode.site, was, Stage.CATCH_UP.value, "it was declared down", WHO, now)

    def _advance(self, site: Site, memory: Memory, now: datetime) -> None:
        stage = Stage(site.recovery)
        since = self._since.get(site.pk)
        if since is None or since.stage is not stage:
            since = _Since(stage, boot_s(), since.replica_s if since else None)
            self._since[site.pk] = since
        facts = self._facts(site, stage, since, memory, now)
        before = Recovery(stage=stage, since_s=since.stage_s)
        after, reason = advance(before, facts, boot_s(), self._timing)
        values: dict[str, object] = {"recovery_reason": reason[:300]}
        if stepped_back(before, after):
            self._penalise(site.pk, STEP_BACK_POINTS)
        if after.stage is not stage:
            done = after.stage is Stage.DONE
            values |= {"recovery": "" if done else after.stage.value, "recovery_since": now}
            note("recovery", site.pk, stage.value, after.stage.value, reason, WHO, now)
        Site.objects.filter(pk=site.pk, recovery=stage.value).update(**values)

    def _facts(
        self, site: Site, stage: Stage, since: _Since, memory: Memory, now: datetime
    ) -> Facts:
        done, failed = self._canaries.step(site, now) if stage is Stage.CANARY else (0, 0)
        return Facts(
            clock_offset_s=float(site.observations.get("clock_offset_s", 0.0)),
            version_ok=_version_fits(site),
            epoch_ok=_knows_epoch(site),
            replica_ok_for_s=_replica_ok_for_s(site, since),
            unsent_entries=_unsent(site),
            open_attempts_unresolved=_unresolved(site, now),
            canaries_done=done,
            canaries_failed=failed,
            error_share=_error_share(site, now),
            p95_ratio=1.0,
            may_return=may_return(memory, boot_s(), self._timing)[0],
        )


def _knows_epoch(site: Site) -> bool:
    state = FleetState.objects.filter(pk=1).first()
    return state is None or int(site.observations.get("epoch", 0)) >= state.epoch


def _version_fits(site: Site) -> bool:
    """The workers that it has now speak the fleet's version of envelopes and reports."""
    alive = site.workers.filter(stopped_at=None)
    return all(_major(w.version) == _major(package_version()) for w in alive)


def _major(version: str) -> str:
    return version.partition(".")[0]


def _replica_ok_for_s(site: Site, since: _Since) -> float | None:
    if (site.observations.get("broker") or {}).get("role") not in FOLLOWS:
        since.replica_s = None
        return None
    if since.replica_s is None:
        since.replica_s = boot_s()
    return boot_s() - since.replica_s


def _unsent(site: Site) -> int:
    return Journal.objects.filter(site=site).aggregate(n=Sum("pending"))["n"] or 0


def _unresolved(site: Site, now: datetime) -> int:
    """Attempts that the site had claimed and of which it has not spoken since it is back."""
    recent = Q(seen_at__gte=now - timedelta(seconds=15))
    claimed = Attempt.objects.filter(site=site.pk, status=AttemptStatus.RUNNING)
    return claimed.exclude(recent).count()


def _error_share(site: Site, now: datetime) -> float:
    """Of the runs that lately ended at the site; canaries that fail on purpose are none."""
    ended = TaskRun.objects.filter(attempt_set__site=site.pk, finished_at__gte=now - RECENT)
    total = ended.count()
    if total < LEAST_RUNS:
        return 0.0
    return ended.filter(status="DEAD").count() / total
