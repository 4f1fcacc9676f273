"""Canaries: real, harmless tasks that a returning site has to do before it gets other work."""

from datetime import datetime, timedelta

from fleet.models import Site, TaskRun
from fleet.policy.states import RunStatus
from fleet.policy.timing import TIMING
from tasks import app

#: For each capability a task that only reads, and its arguments.
TASKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "dev": ("canary.echo", ("canary",)),
    "udm": ("udm.gateway_health", ()),
    "openwrt": ("openwrt.system", ()),
}
#: A canary that nobody took by then counts as failed.
EXPIRES_AFTER = timedelta(seconds=60)
FAILED = (RunStatus.FAILED, RunStatus.DEAD, RunStatus.CANCELLED)


class Canaries:
    """The canaries of a recovery are named after its site and the moment the stage began."""

    def step(self, site: Site, now: datetime) -> tuple[int, int]:
        """Accept those that are missing; returns the number done of the slowest capability,
        and the number failed."""
        chosen = [name for name in site.capabilities if name in TASKS]
        counts = [self._of_capability(site, name, now) for name in chosen]
        if not counts:
            return TIMING.canary_runs, 0
        return min(done for done, _ in counts), sum(failed for _, failed in counts)

    def _of_capability(self, site: Site, capability: str, now: datetime) -> tuple[int, int]:
        since = site.recovery_since or now
        prefix = f"canary-{site.pk}-{capability}-{since.timestamp():.3f}-"
        runs = TaskRun.objects.filter(idempotency_key__startswith=prefix)
        if not runs.exists():
            for number in range(TIMING.canary_runs):
                self._send(site, capability, f"{prefix}{number}", now)
            return 0, 0
        done = runs.filter(status=RunStatus.SUCCESSFUL).count()
        return done, runs.filter(status__in=FAILED).count()

    def _send(self, site: Site, capability: str, key: str, now: datetime) -> None:
        task, args = TASKS[capability]
        app.send_task(
            task,
            args=args,
            site=site.pk,
            idempotency_key=key,
            expires=now + EXPIRES_AFTER,
            priority="high",
        )
