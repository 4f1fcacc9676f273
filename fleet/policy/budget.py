"""What the standby may cost before a person is asked."""

from dataclasses import dataclass

from fleet.policy.decision import Decision
from fleet.policy.timing import TIMING, Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """How long the standby was active, in seconds: this month, and without a break until now."""

    month_s: float = 0.0
    run_s: float = 0.0


def budget(spent: Spent, *, confirmed_by_person: bool, timing: Timing = TIMING) -> Decision:
    """Whether the standby may go on; a person's word lifts both limits."""
    over = _over(spent, timing)
    if not over:
        return Decision(True, "within the budget")
    if confirmed_by_person:
        return Decision(True, f"{over}; a person has confirmed that it may go on")
    return Decision(False, f"{over}; a person has to confirm that it may go on")


def _over(spent: Spent, timing: Timing) -> str:
    if spent.month_s >= timing.budget_month_s:
        return _sentence(spent.month_s, timing.budget_month_s, "this month")
    if spent.run_s >= timing.budget_run_s:
        return _sentence(spent.run_s, timing.budget_run_s, "without a break")
    return ""


def _sentence(spent_s: float, limit_s: float, when: str) -> str:
    return f"active for {spent_s / 3600:.1f} h {when}, the budget is {limit_s / 3600:.1f} h"
