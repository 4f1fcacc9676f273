"""The control loop: relay at once when a run is accepted, reconcile every few seconds."""

import logging
import threading
import time
from datetime import UTC, datetime

from django.db import DatabaseError, close_old_connections

from fleet.control.broker_view import broker_answers, broker_away
from fleet.control.clock import Every
from fleet.control.modes import current_mode
from fleet.ledger.store import LedgerStore
from fleet.models import CONTROL_HOME
from fleet.policy import routing
from fleet.policy.errors import ConfigurationError, NetworkError
from fleet.policy.minimal import Deed, may
from fleet.policy.modes import Mode
from tasks import app
from tasks.home.broker import RedisBroker
from tasks.home.reconcile import Reconciler
from tasks.home.relay import Relay
from tasks.home.signer import Signer
from tasks.settings import settings
from tasks.signing import load_private_key
from tasks.wake import Bell, relay_bell

log = logging.getLogger(__name__)
#: The longest wait without a bell; delayed runs become due in between.
IDLE_S = 0.5
EXPIRE_EVERY_S = 1.0
VIEW_EVERY_S = 2.0
MODE_EVERY_S = 0.5
#: Between two tries while the broker is away.
AWAY_PAUSE_S = 0.25


class ControlLoop:
    """Observes, asks the policy, applies one step at a time. One process runs it."""

    def __init__(self, stop: threading.Event, paused: threading.Event | None = None) -> None:
        """`paused` is set while a planned move of the broker is under way."""
        self._stop = stop
        self._paused = paused or threading.Event()
        config = settings()
        if config.signing is None:
            raise ConfigurationError(
                "the control plane signs what it publishes: add a table [signing] with "
                "private_key_file = '/data/secrets/control.key' to turtle.toml"
            )
        self._store = LedgerStore()
        self._broker = RedisBroker(app, config.broker)
        signer = Signer(CONTROL_HOME, load_private_key(config.signing.private_key_file))
        self._relay = Relay(self._store, self._broker, signer)
        self._reconciler = Reconciler(self._store, self._broker, self._relay)
        self._bell = Bell(relay_bell(config.state_dir))
        self._expire = Every(EXPIRE_EVERY_S)
        self._view = Every(VIEW_EVERY_S)
        self._next_reconcile_s = 0.0
        self._mode_due = Every(MODE_EVERY_S)
        self._mode = Mode.NORMAL
        self._away = ""
        self._away_view = Every(VIEW_EVERY_S)

    def run(self) -> None:
        """Step until `stop` is set. A step that fails is logged and tried again."""
        log.info("control loop is ready")
        more = False
        while not self._stop.is_set():
            if not more:
                self._bell.wait(AWAY_PAUSE_S if self._away else IDLE_S)
            try:
                more = self.step(datetime.now(UTC))
            except DatabaseError as error:
                log.warning("database: %s; trying again", error)
                close_old_connections()
                more = False
            except Exception:  # the boundary of the loop: say what it was, go on
                log.exception("unexpected error in the control loop; trying again")
                self._stop.wait(AWAY_PAUSE_S)
                more = False
        self._bell.close()

    def step(self, now: datetime) -> bool:
        """One round; True when there is more to publish at once."""
        if self._expire.due():
            self._store.expire_due(now)
        if self._held(now):
            return False
        try:
            more = self._relay.step(now).more
            if self._view.due():
                broker_answers(self._broker.state(routing.all_queues(settings().sites)), now)
            if self._reconcile_due(now):
                self._report(self._reconciler.step(now))
            self._back(now)
        except NetworkError as error:
            self._gone(str(error), now)
            return False
        return more

    def _held(self, now: datetime) -> bool:
        """In minimal mode nothing is issued, published or taken for lost: the one place where
        that is enforced, before both relay and reconciler."""
        if self._paused.is_set():
            return True
        if self._mode_due.due():
            self._mode = current_mode().mode
        needed = (Deed.PUBLISH_NEW, Deed.PUBLISH_AGAIN, Deed.EXPIRE_LAN_LEASE)
        refused = [d for d in (may(deed, self._mode) for deed in needed) if not d.allowed]
        if refused:
            self._reconciler.deaf()
            self._gone_quiet(f"held: {refused[0].reason}", now)
        return bool(refused)

    def _gone_quiet(self, reason: str, now: datetime) -> None:
        if reason != self._away:
            log.warning("%s", reason)
        if reason != self._away or self._away_view.due():
            broker_away(reason, now)
        self._away = reason

    def _reconcile_due(self, now: datetime) -> bool:
        now_s = time.monotonic()
        if now_s < self._next_reconcile_s:
            return False
        self._next_reconcile_s = now_s + self._reconciler.pause_s(now)
        return True

    def _report(self, done: list[tuple[int, str]]) -> None:
        for token, reason in done:
            log.info("attempt with token %s: %s", token, reason)

    def _back(self, now: datetime) -> None:
        if self._away:
            log.info("broker answers again")
            self._away = ""
            # Another master may have answered: what the old one swallowed has waited long enough.
            self._next_reconcile_s = 0.0

    def _gone(self, reason: str, now: datetime) -> None:
        self._gone_quiet(reason, now)
        if self._reconcile_due(now):
            self._reconciler.step(now, broker_readable=False)
