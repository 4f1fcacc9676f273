"""Why a run that is READY does not run, in one sentence."""

from collections.abc import Sequence
from datetime import datetime

from fleet.ledger.store import LedgerStore
from fleet.models import CONTROL_HOME, Attempt, BrokerView, TaskRun
from fleet.policy import waiting
from fleet.policy.dispatch import Supply
from fleet.policy.states import OPEN_ATTEMPTS, RunStatus


class WaitingReasons:
    """Answers for many runs with the same two look-ups."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._supply: Sequence[Supply] = LedgerStore().supply(now)
        broker = BrokerView.objects.filter(pk=1).first()
        self._broker_away = broker.away_reason if broker and broker.away_since else ""

    def of(self, run: TaskRun) -> str:
        """The reason, or "" for a run that does not wait."""
        if run.status != RunStatus.READY:
            return ""
        published = (
            run.open_attempt
            and Attempt.objects.filter(
                token=run.token, status__in=OPEN_ATTEMPTS, published_at__isnull=False
            ).exists()
        )
        return waiting.reason(
            now=self._now,
            run_after=run.run_after,
            published=published,
            broker_away=self._broker_away,
            home="" if run.home == CONTROL_HOME else run.home,
            queue=run.queue_name,
            supply=self._supply,
            last_reason=run.reason,
        )


def waiting_reason(run: TaskRun, now: datetime) -> str:
    """Why this run waits, or "" when it does not."""
    return WaitingReasons(now).of(run) if run.status == RunStatus.READY else ""
