"""A run whose worker was lost: another attempt, or a person, by its effect class."""

from datetime import datetime

from fleet.ledger.transitions import move
from fleet.models import TaskRun
from fleet.policy.effects import AfterLoss, EffectClass, after_lost_attempt
from fleet.policy.states import RunEvent


def lose_run(run: TaskRun, why: str, now: datetime, *, who: str) -> bool:
    """Apply the decision; False if somebody else was faster."""
    decision = after_lost_attempt(EffectClass(run.effect), run.attempts, run.max_attempts)
    event = RunEvent.LOSE if decision.action is AfterLoss.NEXT_ATTEMPT else RunEvent.BURY
    return move(run, event, now=now, why=f"{why}; {decision.reason}", who=who)
