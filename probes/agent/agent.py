"""The agent's loops and what they share."""

import logging
import threading
import time
from datetime import timedelta
from typing import Any

from fleet.policy.errors import ConfigurationError, StorageError
from fleet.policy.liveness import HEARTBEAT_S
from fleet.policy.modes import Mode
from fleet.policy.timing import TIMING
from fleet.policy.verdict import Kind
from probes.agent.activator import Activator
from probes.agent.broker_view import BrokerView
from probes.agent.health import serve
from probes.agent.home import SiteHome
from probes.agent.links import measure
from probes.agent.loops import Loop
from probes.agent.modes import LocalMode
from probes.agent.permit import PermitKeeper
from probes.agent.reporter import Reporter, utc_now
from probes.agent.watch import SiteWatch
from probes.agent.word import Word
from probes.host import host_metrics
from tasks.box import Box
from tasks.intake import IntakeFile
from tasks.settings import FleetSettings
from tasks.wake import Bell, agent_bell
from tasks.wire import Heartbeat

log = logging.getLogger(__name__)
OBSERVE_EVERY_S = 5.0
#: Home and orphans are looked at this often even if nobody rings.
LOOK_EVERY_S = 1.0
#: After a nudge further ones are gathered for this long: a busy worker rings twice a task.
COALESCE_S = 0.02
#: While another site works on a run of this home, the news of it is asked for this often.
MAIL_EVERY_S = 0.25
CLAIMS_KEPT = timedelta(days=7)
CLEAN_EVERY_S = 3600.0


class Agent:
    """Reports, observes and, where the site is a home, relays and reconciles."""

    def __init__(self, settings: FleetSettings, stop: threading.Event) -> None:
        self._settings = settings
        self._stop = stop
        self._box = Box(settings)
        self._bell = Bell(agent_bell(settings.state_dir))
        self._home_bell = threading.Event()
        self._report_bell = threading.Event()
        self._observed: dict[str, dict[str, Any]] = {"host": {}, "links": {}, "broker": {}}
        self._timing = TIMING if settings.time_scale == 1 else TIMING.scaled(settings.time_scale)
        self._broker = BrokerView(settings.broker, _sites_by_host(settings))
        self._reporter = Reporter(self._box, settings.control) if settings.control else None
        self._home = self._own_home()
        self._watch = self._own_watch()
        self._activator = self._own_activator()
        self._permit = self._own_permit()
        self._word = Word(self._box, self._watch)
        self._mode = self._own_mode()

    def _own_home(self) -> SiteHome | None:
        """The control plane's own box has none: its control loop signs in another process."""
        signing = self._settings.signing
        if signing is None or self._settings.site not in self._settings.homes:
            return None
        return SiteHome(self._box, signing)

    def _own_watch(self) -> SiteWatch | None:
        """Only a site's home has the key that signs its row; the control loop has its own."""
        if self._home is None:
            return None
        return SiteWatch(self._settings, self._box, lambda: self._observed)

    def _own_mode(self) -> LocalMode | None:
        if self._watch is None:
            return None
        return LocalMode(self._box, self._watch.control, self._timing)

    def _own_activator(self) -> Activator | None:
        if self._watch is None or self._settings.control is None:
            return None
        return Activator(self._settings.control, self._watch.control, self._timing)

    def _own_permit(self) -> PermitKeeper | None:
        if not self._settings.standby or self._settings.control is None:
            return None
        file = IntakeFile(self._settings.state_dir)
        return PermitKeeper(self._settings.control, file, self._timing)

    def run(self) -> None:
        """Work until `stop` is set, then send what is left.

        Raises ConfigurationError where two masters could take writes at the same time.
        """
        self._refuse_two_masters()
        server = serve(self._settings.agent_address, self._health)
        loops = [
            Loop("listen", self._listen, self._stop),
            Loop("observe", self._observe, self._stop),
            Loop("orphans", self._orphans, self._stop),
            Loop("clean", self._clean, self._stop),
        ]
        if self._reporter is not None:
            loops.append(Loop("report", self._report, self._stop))
        if self._home is not None:
            loops.append(Loop("home", self._run_home, self._stop))
        if self._watch is not None:
            loops.append(Loop("watch", self._beat, self._stop))
            loops.append(Loop("hear", self._watch.watcher.listen, self._stop))
        if self._mode is not None:
            loops.append(Loop("mode", self._keep_mode, self._stop))
        if self._permit is not None:
            loops.append(Loop("permit", self._keep_permit, self._stop))
        if self._activator is not None:
            loops.append(Loop("activate", self._activate, self._stop))
        for loop in loops:
            loop.start()
        log.info("agent of %s@%s is ready", self._settings.box, self._settings.site)
        self._stop.wait()
        self._report_bell.set()
        self._home_bell.set()
        for loop in loops:
            loop.join(timeout=12)
        if self._home is not None:
            self._home.close()
        server.shutdown()
        self._bell.close()

    def _refuse_two_masters(self) -> None:
        """Only what no wait can mend: a Sentinel that has not yet met the others will."""
        dangers = [danger for danger in self._broker.unsafe() if "knows" not in danger]
        if dangers:
            raise ConfigurationError("unsafe broker settings: " + " ".join(dangers))

    def _health(self) -> dict[str, Any]:
        return {"site": self._settings.site, "box": self._settings.box, "status": "ok"}

    def _listen(self) -> None:
        if self._bell.wait(LOOK_EVERY_S):
            self._report_bell.set()
            self._home_bell.set()
            self._stop.wait(COALESCE_S)

    def _report(self) -> None:
        assert self._reporter is not None  # noqa: S101 - only started with one
        wants_mail = self._home is not None and self._home.awaits_others()
        last = self._reporter.last_ack
        more, mail = self._reporter.send(self._heartbeat, wants_mail=wants_mail)
        self._word.take(self._reporter.last_ack)
        if self._home is not None and self._reporter.last_ack is not last:
            self._home.take_mail(mail)
            if mail:
                self._home_bell.set()
        if not more:
            pause_s = MAIL_EVERY_S if wants_mail else LOOK_EVERY_S
            self._report_bell.wait(min(pause_s, self._reporter.seconds_to_beat()))
            self._report_bell.clear()

    def _run_home(self) -> None:
        assert self._home is not None  # noqa: S101 - only started with one
        self._home.step(self._mode.mode if self._mode else Mode.NORMAL)
        self._home_bell.wait(LOOK_EVERY_S)
        self._home_bell.clear()

    def _beat(self) -> None:
        """One beat; while somebody is silent, reports carry the row as often as beats do."""
        assert self._watch is not None  # noqa: S101 - only started with one
        started_s = time.monotonic()
        snapshot = self._watch.beat()
        if self._reporter is not None:
            calm = all(v.kind is Kind.UP for v in snapshot.verdicts.values())
            self._reporter.beat_soon(HEARTBEAT_S if calm else self._timing.beat_s)
            if not calm:
                self._report_bell.set()
        self._stop.wait(max(0.0, started_s + self._timing.beat_s - time.monotonic()))

    def _keep_mode(self) -> None:
        """A loop of its own: a journal that cannot be written must not hold up the beats."""
        assert self._watch is not None  # noqa: S101 - only started with one
        assert self._mode is not None  # noqa: S101 - only started with one
        self._stop.wait(self._timing.beat_s)
        try:
            changed = self._mode.step(self._watch.watcher.snapshot(), self._watch.epoch)
        finally:
            self._word.alone(self._mode.isolation())
        if changed:
            self._home_bell.set()
            self._report_bell.set()

    def _activate(self) -> None:
        assert self._watch is not None  # noqa: S101 - only started with one
        assert self._activator is not None  # noqa: S101 - only started with one
        self._stop.wait(self._timing.beat_s)
        self._activator.step(self._watch.watcher.snapshot(), self._watch.epoch)

    def _keep_permit(self) -> None:
        assert self._permit is not None  # noqa: S101 - only started with one
        self._permit.step()
        self._stop.wait(self._permit.every_s)

    def _orphans(self) -> None:
        """Notice within a second that a worker's process ended in a task."""
        lost = self._box.claims.lose_orphans(utc_now())
        for run_id in lost:
            log.warning("run %s: its worker process ended", run_id)
        if lost:
            self._report_bell.set()
            self._home_bell.set()
        self._stop.wait(LOOK_EVERY_S)

    def _observe(self) -> None:
        self._observed["host"] = host_metrics(self._settings.state_dir)
        if not self._settings.standby:
            # What a site sees is told by its own box, not by the standby beside it.
            self._observed["broker"] = self._broker.read()
            self._observed["links"] = measure(self._settings.peers)
        self._stop.wait(OBSERVE_EVERY_S)

    def _clean(self) -> None:
        self._box.claims.forget_before(utc_now() - CLAIMS_KEPT)
        self._box.workers.sign_out_ended(utc_now() - CLAIMS_KEPT)
        self._stop.wait(CLEAN_EVERY_S)

    def _heartbeat(self) -> Heartbeat:
        return Heartbeat(
            at=utc_now(),
            workers=self._box.workers.states(),
            running=[(row["run_id"], row["token"]) for row in self._box.claims.running()],
            host=self._observed["host"],
            links=self._observed["links"],
            broker=self._observed["broker"],
            pending=self._box.entries.pending(),
            trouble=self._trouble(),
            epoch=self._watch.epoch if self._watch else 0,
            row=self._watch.watcher.own_row() if self._watch else None,
            verdicts=self._watch.words() if self._watch else {},
            mode=self._mode.mode.value if self._mode else "",
        )

    def _trouble(self) -> str:
        """Why this box cannot take work: it tries to write its journal."""
        try:
            self._box.database.probe()
        except StorageError as error:
            return str(error)[:300]
        return ""


def _sites_by_host(settings: FleetSettings) -> dict[str, str]:
    """Site of each address; of none where all sites share one (a machine with only 127.0.0.1)."""
    addresses = {**settings.peers, settings.site: settings.agent_address}
    hosts = [address.rpartition(":")[0] for address in addresses.values()]
    return {
        host: site for site, host in zip(addresses, hosts, strict=True) if hosts.count(host) == 1
    }
