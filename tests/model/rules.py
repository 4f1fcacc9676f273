"""The functions that the model explores: the fleet's own, each replaceable by a wrong one.

Only two are said here a second time, because the fleet has them in SQL and in a file: an outcome
is committed for the current token of a running run, and the sink of class C takes newer tokens.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fleet.policy import (
    activation,
    confirmation,
    effects,
    lease,
    minimal,
    modes,
    reconcile,
    recovery,
    routing,
    states,
    tokens,
    verdict,
)
from fleet.policy.states import RunEvent, RunStatus
from tasks.journal.claims import ClaimVerdict
from tests.model.journal import claim_table


def commits(current: int, token: int, status: RunStatus) -> bool:
    """As `fleet.ledger.outcomes`: by the token, and once."""
    return token == current and status is RunStatus.RUNNING


def sink_takes(newest: int, token: int) -> bool:
    """As the sink of `canary.effect_c`."""
    return token > newest


@dataclass(frozen=True, kw_only=True)
class Rules:
    """One field a rule. A mutant replaces one, and the model has to notice."""

    classify: Callable[..., verdict.Verdict] = verdict.classify
    remember: Callable[..., tuple[confirmation.Memory, verdict.Verdict]] = confirmation.advance
    next_mode: Callable[..., tuple[modes.ModeState, str]] = modes.next_mode
    ask: Callable[..., lease.Answer] = lease.ask
    is_free: Callable[..., bool] = lease.is_free
    left_s: Callable[..., float] = lease.left_s
    may_start: Callable[..., Any] = lease.may_start
    machine: Callable[..., activation.MachineDeed] = activation.step
    recover: Callable[..., tuple[recovery.Recovery, str]] = recovery.advance
    may: Callable[..., Any] = minimal.may
    decide: Callable[[reconcile.Observed], reconcile.Decision] = reconcile.decide
    after_loss: Callable[..., effects.LossDecision] = effects.after_lost_attempt
    must_pin: Callable[[effects.EffectClass], bool] = routing.must_pin
    make_token: Callable[[int, int], int] = tokens.make_token
    move: Callable[[RunStatus, RunEvent], RunStatus] = states.advance
    claims: Mapping[tuple[int, bool, int, effects.EffectClass], ClaimVerdict] = field(
        default_factory=claim_table
    )
    commits: Callable[[int, int, RunStatus], bool] = commits
    sink_takes: Callable[[int, int], bool] = sink_takes
    #: From when the holder counts: from its question, not from the answer.
    counts_from_question: bool = True
    #: The holder starts nothing without a permit.
    needs_permit: bool = True
