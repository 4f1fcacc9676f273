"""The control plane's own watch: it hears the sites, judges them, and writes that down."""

import logging
import threading
import time
from datetime import UTC, datetime
from typing import Any

from fleet.control.events import note
from fleet.models import BrokerView, FleetState, Maintenance, Site
from fleet.policy.timing import Timing
from fleet.policy.verdict import Verdict
from probes.watch.place import open_watch
from probes.watch.watcher import OwnState, Snapshot, Watcher
from tasks.box import own_box
from tasks.settings import FleetSettings
from tasks.version import package_version

log = logging.getLogger(__name__)
WHO = "control plane"


class ControlWatch:
    """Beats in a thread of its own, so that a slow database does not look like a silent site."""

    def __init__(self, settings: FleetSettings, timing: Timing, stop: threading.Event) -> None:
        self._stop, self._timing = stop, timing
        self._site = settings.site
        self._own = OwnState(version=package_version())
        self.watcher: Watcher = open_watch(settings, own_box(), lambda: self._own, timing)
        self._rows_taken: dict[str, datetime] = {}
        self._threads = [
            threading.Thread(target=self._beat, name="beat-rows", daemon=True),
            threading.Thread(target=self._listen, name="hear-rows", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        for thread in self._threads:
            thread.join(timeout=3)
        self.watcher.close()

    def step(self, now: datetime) -> Snapshot:
        """Take in what came with reports, write down what is judged; returns the judgement."""
        self._own = self._own_state()
        for site in Site.objects.exclude(pk=self._site):
            self._take_reported(site)
        snapshot = self.watcher.snapshot()
        self._write(snapshot, now)
        return snapshot

    def _take_reported(self, site: Site) -> None:
        """A report is proof of the public path, and carries the row of its site."""
        if site.row_at is None or self._rows_taken.get(site.pk) == site.row_at:
            return
        self._rows_taken[site.pk] = site.row_at
        age_s = max(0.0, (datetime.now(UTC) - site.row_at).total_seconds())
        if age_s <= self._timing.https_beat_s:
            self.watcher.public_path(site.pk)
        if site.row:
            self.watcher.take_rows([{**site.row, "age_ms": round(age_s * 1000)}])

    def _own_state(self) -> OwnState:
        """Epoch and broker as the loop knows them."""
        view = BrokerView.objects.filter(pk=1).first()
        state = FleetState.objects.filter(pk=1).first()
        away = view is not None and view.away_since is not None
        now = datetime.now(UTC)
        stop = Maintenance.objects.filter(site=self._site, ended_at=None, until__gt=now).first()
        return OwnState(
            epoch=state.epoch if state else 0,
            maintenance_left_s=(stop.until - now).total_seconds() if stop else 0.0,
            broker="timeout" if away else "ok",
            version=package_version(),
        )

    def _write(self, snapshot: Snapshot, now: datetime) -> None:
        row = self.watcher.own_row()
        Site.objects.filter(pk=self._site).update(row=row or {}, row_at=now)
        was = dict(Site.objects.values_list("pk", "verdict"))
        for site, verdict in snapshot.verdicts.items():
            self._write_one(site, verdict, was.get(site, ""), now)

    def _write_one(self, site: str, verdict: Verdict, was: str, now: datetime) -> None:
        values: dict[str, Any] = {"verdict_at": now, "verdict_reason": verdict.reason[:300]}
        if was != verdict.kind.value:
            values |= {"verdict": verdict.kind.value, "verdict_since": now}
            note("verdict", site, was, verdict.kind.value, verdict.reason, WHO, now)
        Site.objects.filter(pk=site).update(**values)

    def _beat(self) -> None:
        next_s = time.monotonic()
        while not self._stop.is_set():
            try:
                self.watcher.beat()
            except Exception:  # the boundary of the loop: say what it was, go on
                log.exception("unexpected error in a beat; trying again")
            next_s = max(next_s + self._timing.beat_s, time.monotonic())
            self._stop.wait(next_s - time.monotonic())

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                self.watcher.listen()
            except OSError as error:
                log.warning("cannot hear beats: %s; trying again", error)
                self._stop.wait(self._timing.beat_s)
