"""The site's own home: the same relay and reconciler as the control plane's, over the journal."""

import logging
import time
from datetime import UTC, datetime

from fleet.policy.dispatch import Supply
from fleet.policy.errors import FleetError, NetworkError
from fleet.policy.minimal import Deed, may
from fleet.policy.modes import Mode
from probes.agent.island import Island, IslandWorker
from tasks.box import Box
from tasks.home.broker import RedisBroker
from tasks.home.island_broker import IslandBroker
from tasks.home.island_store import IslandStore
from tasks.home.journal_store import JournalStore
from tasks.home.reconcile import Reconciler
from tasks.home.relay import Relay
from tasks.home.settle import Settler
from tasks.home.signer import Signer
from tasks.settings import SigningSettings
from tasks.signing import load_private_key
from tasks.wire import Mail

log = logging.getLogger(__name__)
#: After an island, and after the agent's start, what others claimed meanwhile is heard of first:
#: with the first answer of the control plane, or, where there is none, after this long.
NEWS_WITHIN_S = 10.0
#: What relay and reconciler do between them; in no mode only a part of it is allowed.
DEEDS = (Deed.PUBLISH_NEW, Deed.PUBLISH_AGAIN, Deed.EXPIRE_LAN_LEASE)


class SiteHome:
    """One step settles claims, publishes what is due, and reconciles every few seconds."""

    def __init__(self, box: Box, signing: SigningSettings) -> None:
        from tasks.app import app

        settings = box.settings
        name = settings.site
        number = settings.homes[name].number
        signer = Signer(name, load_private_key(signing.private_key_file))
        self._box = box
        self._store = JournalStore(box.database, name, number, self._supply)
        self._settler = Settler(box.database, name, name)
        broker = RedisBroker(app, settings.broker)
        self._relay = Relay(self._store, broker, signer)
        self._reconciler = Reconciler(self._store, broker, self._relay)
        alone = IslandStore(
            *(box.database, name, number, self._supply),
            capabilities=settings.capabilities,
            owned=settings.owned_capabilities,
        )
        self._island = Island(
            alone, IslandBroker(app, settings.state_dir), signer, IslandWorker(settings)
        )
        self._next_reconcile_s = 0.0
        self._news_by_s = 0.0
        self._held = ""

    def _supply(self) -> list[Supply]:
        return [
            Supply(
                site=self._box.settings.site,
                capabilities=frozenset(w.capabilities),
                slots=w.slots,
                busy=w.busy,
            )
            for w in self._box.workers.states()
            if w.alive
        ]

    def step(self, mode: Mode) -> None:
        """Raises NetworkError when the broker is away; what was accepted stays in the journal."""
        now = datetime.now(UTC)
        if self._is_held(mode):
            self._reconciler.deaf()
            self._settle(now)
            self._island.step(now)
            return
        if self._island.end():
            self._news_by_s = time.monotonic() + NEWS_WITHIN_S
        if self._store.is_idle():
            return  # the workers' nudges are mostly about the runs of other homes
        self._settle(now)
        failure: FleetError | None = None
        try:
            self._relay.step(now)
        except NetworkError as error:
            failure = error
        if time.monotonic() >= max(self._next_reconcile_s, self._news_by_s):
            self._next_reconcile_s = time.monotonic() + self._reconciler.pause_s(now)
            self._reconciler.step(now, broker_readable=failure is None)
        if failure is not None:
            raise failure

    def _is_held(self, mode: Mode) -> bool:
        """The one place where the mode is asked, before anything is published or given up."""
        refused = [d.reason for d in (may(deed, mode) for deed in DEEDS) if not d.allowed]
        held = refused[0] if refused else ""
        if held != self._held:
            log.info("%s", f"held: {held}" if held else "publishes again")
            self._held = held
        return bool(held)

    def _settle(self, now: datetime) -> None:
        """What needs nobody else: this box's claims, and runs that have expired."""
        self._settler.settle_own_claims(now)
        self._store.expire_due(now)
        self._store.see_running(self._box.claims.running(), now)

    def awaits_others(self) -> bool:
        """Whether a published run of this home may be in the hands of another site."""
        if self._store.is_idle():
            return False
        own = {row["token"] for row in self._box.claims.running()}
        return any(
            a.token not in own and a.published_at is not None for a in self._store.under_way()
        )

    def take_mail(self, mail: list[Mail]) -> None:
        """What the control plane passed on with an answer; that may be nothing."""
        if mail:
            self._settler.take_mail(mail, datetime.now(UTC))
        self._news_by_s = 0.0

    def close(self) -> None:
        self._island.close()
