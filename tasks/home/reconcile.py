"""The reconciler: compares the home's attempts with the broker and with what agents say."""

from collections.abc import Sequence
from datetime import datetime

from fleet.policy.reconcile import Action, Observed, decide
from fleet.policy.states import AttemptStatus
from tasks.home.relay import Broker, Relay
from tasks.home.store import HomeStore, OpenAttempt


class Reconciler:
    """Looks at every attempt under way of one home; applies one decision at a time."""

    def __init__(self, store: HomeStore, broker: Broker, relay: Relay) -> None:
        self._store = store
        self._broker = broker
        self._relay = relay
        self._waited: dict[int, datetime] = {}

    def step(self, now: datetime, *, broker_readable: bool = True) -> list[tuple[int, str]]:
        """Returns (token, reason) of every attempt that something was done about.

        Raises NetworkError when publishing again fails; the next step tries again.
        """
        attempts = self._store.under_way()
        in_broker = self._tokens(attempts) if broker_readable and attempts else None
        self._remember(attempts, in_broker or set(), now)
        decisions = [
            (a, decide(_observed(a, in_broker, self._waited.get(a.token), now))) for a in attempts
        ]
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


def _observed(
    attempt: OpenAttempt, in_broker: set[int] | None, waited: datetime | None, now: datetime
) -> Observed:
    published = max(attempt.published_at or attempt.created_at, waited or attempt.created_at)
    seen = attempt.seen_at
    return Observed(
        status=attempt.status,
        published_age_s=(now - published).total_seconds(),
        times_published=attempt.times_published,
        seen_age_s=None if seen is None else (now - seen).total_seconds(),
        in_broker=None if in_broker is None else attempt.token in in_broker,
    )
