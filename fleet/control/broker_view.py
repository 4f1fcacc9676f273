"""Writing down what the control loop saw of the broker, for the pages and the API."""

from datetime import datetime

from fleet.models import BrokerView
from tasks.home.broker import BrokerState


def broker_answers(state: BrokerState, now: datetime) -> None:
    """The broker answered: depths of its queues, who is master."""
    BrokerView.objects.update_or_create(
        pk=1,
        defaults={
            "seen_at": now,
            "master": state.master,
            "away_since": None,
            "away_reason": "",
            "queues": {name: {"depth": depth} for name, depth in state.depths.items()},
            "unacked": state.unacked,
        },
    )


def broker_away(reason: str, now: datetime) -> None:
    """No master answers; the first such moment is kept."""
    view, _ = BrokerView.objects.get_or_create(pk=1)
    view.away_since = view.away_since or now
    view.away_reason = reason[:300]
    view.save(update_fields=("away_since", "away_reason"))
