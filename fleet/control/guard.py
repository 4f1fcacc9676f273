"""The control plane's care for the whole: who is there, which mode, who returns, the standby.

Threads of the loop's process beside the relay, so that neither a slow provider nor a slow broker
keeps the fleet from being judged.
"""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from django.conf import settings as django_settings
from django.db import DatabaseError, close_old_connections

from fleet.control.draining import BrokerDrain
from fleet.control.machines.client import FlyMachines
from fleet.control.modes import ModeKeeper, end_expired
from fleet.control.moving import BrokerMover
from fleet.control.recovering import RecoveryKeeper
from fleet.control.standby import StandbyKeeper
from fleet.control.timing import timing
from fleet.control.watch import ControlWatch
from tasks.settings import settings

log = logging.getLogger(__name__)
STANDBY_EVERY_S = 2.0


class Guard:
    """`start` begins, `join` waits for the end after `stop` was set."""

    def __init__(self, stop: threading.Event, paused: threading.Event) -> None:
        """`paused` is set while the relay must not publish."""
        self._stop, self._paused = stop, paused
        self._timing = timing()
        self._watch = ControlWatch(settings(), self._timing, stop)
        self._modes = ModeKeeper(settings().site, self._timing)
        self._recovery = RecoveryKeeper(self._timing, self._watch.watcher.penalise)
        self._standby = self._own_standby()
        self._drain = self._own_drain()
        every_s = self._timing.beat_s
        self._threads = [self._thread("judge", self._judge, every_s)]
        if self._drain is not None:
            self._threads.append(self._thread("move", self._keep_broker, every_s))
        if self._standby is not None:
            pause_s = min(STANDBY_EVERY_S, STANDBY_EVERY_S * every_s)
            self._threads.append(self._thread("standby", self._keep_standby, pause_s))

    def _own_drain(self) -> BrokerDrain | None:
        mover = django_settings.CONTROL.mover
        if mover is None:
            log.info("no [control_plane.mover] is configured: a planned stop moves no broker")
            return None
        return BrokerDrain(BrokerMover(settings().broker, mover, self._paused))

    def start(self) -> None:
        self._watch.start()
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(timeout=10)
        self._watch.close()

    def _own_standby(self) -> StandbyKeeper | None:
        machines = django_settings.CONTROL.machines
        if machines is None:
            log.info("no [control_plane.machines] is configured: there is no standby")
            return None
        client = FlyMachines(machines.url, machines.app, machines.token_file, stop=self._stop)
        return StandbyKeeper(client, machines.machine_id, settings().site, self._timing)

    def _judge(self) -> None:
        now = datetime.now(UTC)
        end_expired(now)
        snapshot = self._watch.step(now)
        mode = self._modes.step(snapshot, now)
        self._recovery.step(snapshot, mode, now)

    def _keep_broker(self) -> None:
        if self._drain is not None:
            self._drain.step(datetime.now(UTC))

    def _keep_standby(self) -> None:
        if self._standby is not None:
            self._standby.step(datetime.now(UTC))

    def _thread(self, name: str, step: Callable[[], None], every_s: float) -> threading.Thread:
        target = partial(self._run, name, step, every_s)
        return threading.Thread(target=target, name=name, daemon=True)

    def _run(self, name: str, step: Callable[[], None], every_s: float) -> None:
        while not self._stop.is_set():
            try:
                step()
            except DatabaseError as error:
                log.warning("%s: database: %s; trying again", name, error)
                close_old_connections()
            except Exception:  # the boundary of the loop: say what it was, go on
                log.exception("%s: unexpected error; trying again", name)
            self._stop.wait(every_s)
