"""From what producer, tasks and Sentinels wrote to the figures of a round, and of many."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from deploy.lab.history import effects
from deploy.lab.history.figures import longest_gap_s, summary
from deploy.lab.history.records import History


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One failover. Seconds; None for what did not happen while the master was away."""

    kind: str
    master_before: str
    master_after: str
    load: float
    switch_after_fault_s: float | None
    task_after_switch_s: float | None
    task_after_fault_s: float | None
    longest_gap_s: float
    accept_before_ms: dict[str, float]
    accept_ms: dict[str, float]
    accepted: int
    lost: int
    class_d_never_started: int
    started_more_than_once: int
    effects_too_many: int
    published_again: int
    published_again_within_s: float | None
    processes_replaced: list[str]
    answered_ping_in_the_fault: list[str]
    answered_ping_after: list[str]
    settled_after_s: float | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def accept_ms(history: History, since_s: float, until_s: float) -> dict[str, float]:
    """How long the producer waited for the ledger, milliseconds, of what it sent in that time."""
    waited = [
        (one.monotonic_s - one.sent_monotonic_s) * 1e3
        for one in history.accepted
        if one.sent_monotonic_s is not None and since_s <= one.sent_monotonic_s < until_s
    ]
    return summary(waited)


def first_start_s(history: History, accepted_since_s: float, since_s: float) -> float | None:
    """The first start since then of a task that was handed in after the fault."""
    new = {
        one.key
        for one in history.accepted
        if one.sent_monotonic_s is not None and one.sent_monotonic_s >= accepted_since_s
    }
    return min(
        (
            line.monotonic_s
            for line in history.effects
            if line.event == "start" and line.key in new and line.monotonic_s >= since_s
        ),
        default=None,
    )


def gap_s(history: History, since_s: float) -> float:
    """The longest time around the fault in which no task began anywhere."""
    starts = [line.monotonic_s for line in history.effects if line.event == "start"]
    return longest_gap_s(at for at in starts if at >= since_s - 1.0)


def counted(history: History) -> dict[str, int]:
    """Lost and doubled, by what took effect."""
    starts = Counter(line.key for line in history.effects if line.event == "start")
    return {
        "accepted": len(history.accepted),
        "lost": sum(1 for _ in effects.lost(history)),
        "class_d_never_started": _never_started_d(history, starts),
        "started_more_than_once": sum(count > 1 for count in starts.values()),
        "effects_too_many": sum(1 for _ in effects.effect_twice(history))
        + sum(1 for _ in effects.started_twice(history)),
    }


def _never_started_d(history: History, starts: Counter[str]) -> int:
    """Class D may end undecided with its worker, and no worker dies here."""
    return sum(one.effect == "D" and not starts[one.key] for one in history.accepted)


def together(rounds: Sequence[Round]) -> dict[str, Any]:
    """The figures of all rounds of one kind."""
    return {
        "rounds": len(rounds),
        "load": [min(r.load for r in rounds), max(r.load for r in rounds)],
        "switch_after_fault_s": _spread(r.switch_after_fault_s for r in rounds),
        "task_after_switch_s": _spread(r.task_after_switch_s for r in rounds),
        "task_after_fault_s": _spread(r.task_after_fault_s for r in rounds),
        "longest_gap_s": _spread(r.longest_gap_s for r in rounds),
        "accept_before_p99_ms": _spread(r.accept_before_ms.get("p99") for r in rounds),
        "accept_p99_ms": _spread(r.accept_ms.get("p99") for r in rounds),
        "accept_max_ms": _spread(r.accept_ms.get("max") for r in rounds),
        "published_again_within_s": _spread(r.published_again_within_s for r in rounds),
        **{
            name: sum(getattr(r, name) for r in rounds)
            for name in (
                "accepted",
                "lost",
                "class_d_never_started",
                "started_more_than_once",
                "effects_too_many",
                "published_again",
            )
        },
        "processes_replaced": sum(len(r.processes_replaced) for r in rounds),
        "without_answer_to_ping": sum(not r.answered_ping_after for r in rounds),
        "never": {
            "switched": sum(r.switch_after_fault_s is None for r in rounds),
            "executed": sum(r.task_after_switch_s is None for r in rounds),
            "settled": sum(r.settled_after_s is None for r in rounds),
        },
    }


def _spread(values: Iterable[float | None]) -> dict[str, float]:
    return summary([value for value in values if value is not None])
