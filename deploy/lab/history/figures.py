"""What can be measured from a history."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from deploy.lab.history.masters import overlaps, reigns
from deploy.lab.history.records import Effect, History
from fleet.policy.effects import EffectClass


def figures(history: History) -> dict[str, Any]:
    """Counts, times to first execution in seconds, and reigns, as plain JSON values."""
    starts = [line for line in history.effects if line.event == "start"]
    return {
        **_counts(history, starts),
        "first_execution_s": summary(first_execution_s(history)),
        "longest_gap_between_starts_s": longest_gap_s(line.monotonic_s for line in starts),
        "starts_by_site": dict(Counter(line.site for line in starts)),
        "accepted_by_home": dict(Counter(one.by for one in history.accepted)),
        "reigns": _reigns(history),
        "two_masters_plain_s": _overlap_s(history, 0),
        "two_masters_wait_s": _overlap_s(history, 1),
    }


def _counts(history: History, starts: list[Effect]) -> dict[str, Any]:
    keys = {one.key for one in history.accepted}
    done = {line.key for line in history.effects if line.event == "effect"}
    repeated = len(starts) - len({line.key for line in starts})
    return {
        "accepted": len(history.accepted),
        "started": len(starts),
        "repeated_starts": repeated,
        "repeated_starts_share": round(repeated / len(keys), 5) if keys else 0.0,
        "class_d_without_effect": sum(
            one.effect is EffectClass.D and one.key not in done for one in history.accepted
        ),
        "keys_without_answer": len({line.key for line in history.effects} - keys),
        "unreadable_lines": len(history.unreadable),
    }


def first_execution_s(history: History) -> list[float]:
    """From each acceptance to the task's first start; a start before the answer counts as 0."""
    first: dict[str, float] = {}
    for line in history.effects:
        if line.event == "start":
            first[line.key] = min(line.monotonic_s, first.get(line.key, math.inf))
    return [
        max(0.0, first[one.key] - one.monotonic_s) for one in history.accepted if one.key in first
    ]


def summary(values: Sequence[float]) -> dict[str, float]:
    """Nearest-rank percentiles; empty when there are no values."""
    if not values:
        return {}
    ordered = sorted(values)
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {
        name: round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 3)
        for name, share in shares.items()
    }


def longest_gap_s(moments: Iterable[float]) -> float:
    """The longest time between two neighbours; 0 with fewer than two."""
    return round(max((b - a for a, b in pairwise(sorted(moments))), default=0.0), 3)


def _reigns(history: History) -> list[dict[str, Any]]:
    replicated = {(one.site, one.replication_id): one for one in reigns(history.acks, replicas=1)}
    return [
        {
            "site": one.site,
            "writes": one.writes,
            "first_answer_s": round(one.since_s, 3),
            "last_sent_s": round(one.until_s, 3),
            "first_replicated_s": round(wait.since_s, 3) if wait else None,
            "last_replicated_s": round(wait.until_s, 3) if wait else None,
        }
        for one in reigns(history.acks)
        for wait in (replicated.get((one.site, one.replication_id)),)
    ]


def _overlap_s(history: History, replicas: int) -> float:
    found = overlaps(reigns(history.acks, replicas=replicas))
    return round(sum(seconds for _, _, seconds in found), 3)
