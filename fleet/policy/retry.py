"""Whether and when a failed attempt is followed by another."""

from dataclasses import dataclass

from fleet.policy.contracts import TaskContract
from fleet.policy.effects import EffectClass
from fleet.policy.states import RunEvent


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """What becomes of the run: FAIL, or RETRY_LATER after `delay_s`."""

    event: RunEvent
    delay_s: float
    reason: str


def backoff_s(contract: TaskContract, attempts: int, jitter: float) -> float:
    """Delay before the next attempt, seconds: exponential, with full jitter on its upper half.

    `jitter` is a random number from 0 to 1 that the caller draws.
    """
    ceiling = min(contract.backoff_max_s, contract.backoff_s * 2.0 ** max(0, attempts - 1))
    return ceiling * (0.5 + 0.5 * jitter)


def after_failure(
    contract: TaskContract,
    attempts: int,
    *,
    transient: bool,
    jitter: float,
    asked_delay_s: float | None = None,
) -> RetryDecision:
    """Decide what follows a failed attempt; `attempts` counts it.

    `asked_delay_s` is the delay that the task itself asked for (`self.retry(countdown=…)`).
    """
    if not transient:
        return RetryDecision(RunEvent.FAIL, 0.0, "the error is permanent")
    if contract.effect is EffectClass.D:
        return RetryDecision(
            RunEvent.FAIL, 0.0, "effect class D is never started twice by itself; a person may"
        )
    if attempts >= contract.max_attempts:
        return RetryDecision(
            RunEvent.FAIL, 0.0, f"failed {attempts} of {contract.max_attempts} allowed attempts"
        )
    delay_s = backoff_s(contract, attempts, jitter) if asked_delay_s is None else asked_delay_s
    return RetryDecision(
        RunEvent.RETRY_LATER,
        delay_s,
        f"transient error; attempt {attempts + 1} of {contract.max_attempts} in {delay_s:.1f} s",
    )
