"""The reconciler: compares the home's attempts with the broker and with what agents say."""

from collections.abc import Sequence
from datetime import datetime

from fleet.policy.reconcile import Action, Observed, decide
from fleet.policy.states import AttemptStatus
from tasks.home.relay import Broker, Relay
from tasks.home.store import HomeStore, OpenAttempt

#: Between two steps in calm times, and while a switch of masters is fresh.
CALM_S = 2.0
ALERT_S = 1.0
SWITCH_FRESH_S = 60.0


class Reconciler:
    """Looks at every attempt under way of one home; applies one decision at a time."""

    def __init__(self, store: HomeStore, broker: Broker, relay: Relay) -> None:
        self._store = store
        self._broker = broker
        self._relay = relay
        self._waited: dict[int, datetime] = {}
        self._master = ""
        self._switched_at: datetime | None = None
        self._sees_since: datetime | None = None
        self._hears_since: datetime | None = None

    def deaf(self) -> None:
        """Nobody is heard for now, or was before this process began. What is missing or silent
        then is so for as long as it could have been heard of: the news is on its way."""
        self._sees_since = self._hears_since = None

    def pause_s(self, now: datetime) -> float:
        """How long to wait before the next step: less while a switch of masters is fresh."""
        return ALERT_S if self._switched_age_s(now) is not None else CALM_S

    def step(self, now: datetime, *, broker_readable: bool = True) -> list[tuple[int, str]]:
        """Returns (token, reason) of every attempt that something was done about.

        Raises NetworkError when publishing again fails; the next step tries again.
        """
        attempts = self._store.under_way()
        self._hears_since = self._hears_since or now
        if broker_readable:
            self._notice_switch(now)
        self._sees_since = (self._sees_since or now) if broker_readable else None
        in_broker = self._tokens(attempts) if broker_readable and attempts else None
        held = self._held(now) if in_broker is not None else set()
        self._remember(attempts, in_broker or set(), now)
        decisions = [(a, decide(self._observed(a, in_broker, held, now))) for a in attempts]
        done = []
        for attempt, decision in decisions:
            if decision.action is Action.LOSE:
                self._store.lose(attempt.token, decision.reason, now)
                done.append((attempt.token, decision.reason))
        again = [(a, d) for a, d in decisions if d.action is Action.PUBLISH_AGAIN]
        if again and broker_readable:
            self._relay.publish(self._store.dispatches([a.token for a, _ in again]), now)
            done += [(a.token, d.reason) for a, d in again]
        return done

    def _remember(self, attempts: Sequence[OpenAttempt], seen: set[int], now: datetime) -> None:
        """A message is missing from when it was last seen waiting, not from its publication."""
        kept = {a.token: self._waited[a.token] for a in attempts if a.token in self._waited}
        self._waited = kept | {a.token: now for a in attempts if a.token in seen}

    def _tokens(self, attempts: Sequence[OpenAttempt]) -> set[int]:
        waiting = {a.queue for a in attempts if a.status is not AttemptStatus.RUNNING}
        return self._broker.waiting(sorted(waiting)) if waiting else set()

    def _notice_switch(self, now: datetime) -> None:
        """The first master that is seen is no switch: a home that starts reads what is there."""
        master = self._broker.master()
        if self._master and master != self._master:
            self._switched_at = now
        self._master = master

    def _switched_age_s(self, now: datetime) -> float | None:
        if self._switched_at is None:
            return None
        age_s = (now - self._switched_at).total_seconds()
        return age_s if 0 <= age_s <= SWITCH_FRESH_S else None

    def _held(self, now: datetime) -> set[int]:
        return self._broker.held() if self._switched_age_s(now) is not None else set()

    def _observed(
        self, attempt: OpenAttempt, in_broker: set[int] | None, held: set[int], now: datetime
    ) -> Observed:
        published = attempt.published_at or attempt.created_at
        seen_waiting = self._waited.get(attempt.token, attempt.created_at)
        last = max(published, seen_waiting, self._sees_since or attempt.created_at)
        before_switch = self._switched_at is not None and published < self._switched_at
        seen = attempt.seen_at and max(attempt.seen_at, self._hears_since or attempt.seen_at)
        return Observed(
            status=attempt.status,
            published_age_s=(now - last).total_seconds(),
            times_published=attempt.times_published,
            seen_age_s=None if seen is None else (now - seen).total_seconds(),
            in_broker=None if in_broker is None else attempt.token in in_broker,
            switched_age_s=self._switched_age_s(now) if before_switch else None,
            held=attempt.token in held,
        )
