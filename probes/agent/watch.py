"""The agent's part in watching: what its own row says, and asking for the standby."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from fleet.policy.timing import TIMING
from probes.watch.place import control_site, open_watch
from probes.watch.watcher import OwnState, Snapshot, Watcher
from tasks.boot import boot_s
from tasks.box import Box
from tasks.settings import FleetSettings
from tasks.version import package_version

log = logging.getLogger(__name__)


class SiteWatch:
    """Watches the other sites and says aloud what it concludes.

    `observed` is what the agent last saw of host, links and broker.
    """

    def __init__(
        self, settings: FleetSettings, box: Box, observed: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._settings, self._box, self._observed = settings, box, observed
        self.control = control_site(settings)
        self.epoch = int(box.database.meta("fleet_epoch", "0"))
        self._workers_seen_s = time.monotonic()
        self._said: dict[str, str] = {}
        self._maintained_until_s = 0.0
        scale = settings.time_scale
        timing = TIMING if scale == 1 else TIMING.scaled(scale)
        self.watcher: Watcher = open_watch(settings, box, self.own_state, timing)

    def beat(self) -> Snapshot:
        """One beat; a changed verdict is logged with its reason."""
        snapshot = self.watcher.beat()
        for site, verdict in snapshot.verdicts.items():
            if self._said.get(site) != verdict.kind:
                log.info("%s is %s: %s", site, verdict.kind, verdict.reason)
                self._said[site] = verdict.kind
        return snapshot

    def words(self) -> dict[str, dict[str, str]]:
        """What this site judges, for its report: site -> kind and reason."""
        return {
            site: {"kind": v.kind.value, "reason": v.reason}
            for site, v in self.watcher.snapshot().verdicts.items()
        }

    def maintained(self, left_s: float) -> None:
        """The control plane's word on a planned stop; the row carries it, and the others go by
        it when the site has gone quiet."""
        self._maintained_until_s = boot_s() + left_s

    def own_state(self) -> OwnState:
        """The row of this site as of now."""
        seen = self._observed()
        broker = seen.get("broker", {})
        return OwnState(
            epoch=self.epoch,
            sentinel=broker.get("down", {}),
            broker=broker.get("answer", "unknown"),
            workers_age_s=self._workers_age_s(),
            maintenance_left_s=max(0.0, round(self._maintained_until_s - boot_s(), 1)),
            version=package_version(),
            links={
                site: (link.get("median_ms"), float(link.get("loss", 0.0)))
                for site, link in seen.get("links", {}).items()
            },
        )

    def _workers_age_s(self) -> float | None:
        """None at a site that has no work of its own."""
        if not self._settings.capabilities:
            return None
        now_s = time.monotonic()
        if any(worker.alive for worker in self._box.workers.states()):
            self._workers_seen_s = now_s
        return now_s - self._workers_seen_s
