"""The site's own home: the same relay and reconciler as the control plane's, over the journal."""

import time
from datetime import UTC, datetime

from fleet.policy.dispatch import Supply
from fleet.policy.errors import FleetError, NetworkError
from tasks.box import Box
from tasks.home.broker import RedisBroker
from tasks.home.journal_store import JournalStore
from tasks.home.reconcile import Reconciler
from tasks.home.relay import Relay
from tasks.home.settle import Settler
from tasks.home.signer import Signer
from tasks.settings import SigningSettings
from tasks.signing import load_private_key
from tasks.wire import Mail

RECONCILE_EVERY_S = 2.0


class SiteHome:
    """One step settles claims, publishes what is due, and reconciles every few seconds."""

    def __init__(self, box: Box, signing: SigningSettings) -> None:
        from tasks.app import app

        name = box.settings.site
        number = box.settings.homes[name].number
        self._box = box
        self._store = JournalStore(box.database, name, number, self._supply)
        self._settler = Settler(box.database, name, name)
        broker = RedisBroker(app, box.settings.broker)
        self._relay = Relay(
            self._store, broker, Signer(name, load_private_key(signing.private_key_file))
        )
        self._reconciler = Reconciler(self._store, broker, self._relay)
        self._next_reconcile = 0.0

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

    def step(self) -> None:
        """Raises NetworkError when the broker is away; what was accepted stays in the journal."""
        if self._store.is_idle():
            return  # the workers' nudges are mostly about the runs of other homes
        now = datetime.now(UTC)
        self._settler.settle_own_claims(now)
        self._store.expire_due(now)
        self._store.see_running(self._box.claims.running(), now)
        failure: FleetError | None = None
        try:
            self._relay.step(now)
        except NetworkError as error:
            failure = error
        if time.monotonic() >= self._next_reconcile:
            self._next_reconcile = time.monotonic() + RECONCILE_EVERY_S
            self._reconciler.step(now, broker_readable=failure is None)
        if failure is not None:
            raise failure

    def awaits_others(self) -> bool:
        """Whether a published run of this home may be in the hands of another site."""
        if self._store.is_idle():
            return False
        own = {row["token"] for row in self._box.claims.running()}
        return any(
            a.token not in own and a.published_at is not None for a in self._store.under_way()
        )

    def take_mail(self, mail: list[Mail]) -> None:
        """What the control plane passed on."""
        self._settler.take_mail(mail, datetime.now(UTC))
