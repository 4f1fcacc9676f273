"""Effect classes: what may happen to a run whose worker was lost."""

from dataclasses import dataclass
from enum import StrEnum


class EffectClass(StrEnum):
    """How a task's effect behaves when the task is started again.

    A: pure or overwriting, may run again freely.
    B: keyed, its sink stores the idempotency key with the effect.
    C: fenced, its sink compares the fencing token.
    D: unfenceable, never started twice by the machine; a person decides.
    """

    A = "A"
    B = "B"
    C = "C"
    D = "D"


#: The classes whose effect the fleet promises to take exactly once.
TAKES_EFFECT_ONCE = frozenset({EffectClass.A, EffectClass.B, EffectClass.C})


class AfterLoss(StrEnum):
    """What the home does with a run whose attempt was started and lost."""

    NEXT_ATTEMPT = "next attempt"
    PERSON_DECIDES = "person decides"


@dataclass(frozen=True, slots=True)
class LossDecision:
    action: AfterLoss
    reason: str


def after_lost_attempt(effect: EffectClass, attempts: int, max_attempts: int) -> LossDecision:
    """Decide what follows an attempt that was started and whose worker is gone.

    `attempts` counts the lost one.
    """
    if effect is EffectClass.D:
        return LossDecision(
            AfterLoss.PERSON_DECIDES,
            "effect class D: it may have taken effect, so it is never started twice by itself",
        )
    if attempts >= max_attempts:
        return LossDecision(
            AfterLoss.PERSON_DECIDES, f"lost {attempts} times; {max_attempts} attempts are allowed"
        )
    return LossDecision(
        AfterLoss.NEXT_ATTEMPT, f"effect class {effect}: may run again, with a newer token"
    )
