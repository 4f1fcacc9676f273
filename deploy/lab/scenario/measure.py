"""Figures of one scenario, counted from its first fault, out of what the witnesses wrote."""

from collections.abc import Iterable
from typing import Any

from deploy.lab.history.figures import longest_gap_s, summary
from deploy.lab.history.masters import Reign, reigns
from deploy.lab.history.records import History
from deploy.lab.scenario.script import Expected
from deploy.lab.scenario.timeline import Timeline


def measured(history: History, timeline: Timeline, control: str) -> dict[str, Any]:
    """Seconds after the first fault was on; None where it did not happen before the mending."""
    cut_s, mend_s = timeline.first_break_s(), timeline.first_mend_s()
    if cut_s is None:
        return {}
    until_s = mend_s if mend_s is not None else float("inf")
    before = master_at(history, cut_s)
    starts = [line for line in history.effects if line.event == "start"]
    return {
        "accept_s": summary(accept_latency_s(history)),
        "master_before": before,
        "master_after": master_at(history, until_s),
        "new_master_after_s": _since(
            cut_s, (r.since_s for r in _replicated(history) if r.site != before), until_s
        ),
        "new_task_started_after_s": _since(cut_s, first_new_starts_s(history, cut_s), until_s),
        "standby_started_after_s": _since(
            cut_s, (line.monotonic_s for line in starts if line.site == control), until_s
        ),
        "longest_gap_between_starts_s": longest_gap_s(
            line.monotonic_s for line in starts if line.monotonic_s >= cut_s - 1
        ),
    }


def accept_latency_s(history: History) -> list[float]:
    """How long producers waited for the control plane's answer, its own absence included."""
    return [
        one.monotonic_s - one.sent_monotonic_s
        for one in history.accepted
        if one.by == "control" and one.sent_monotonic_s is not None
    ]


def first_new_starts_s(history: History, cut_s: float) -> list[float]:
    """Starts of tasks that the control plane accepted after the fault: nobody had them before.

    Not those of a site's own home: a site that is cut off goes on with its own for a moment.
    """
    new = {
        one.key
        for one in history.accepted
        if one.by == "control" and (one.sent_monotonic_s or 0.0) >= cut_s
    }
    return [
        line.monotonic_s for line in history.effects if line.event == "start" and line.key in new
    ]


def master_at(history: History, at_s: float) -> str | None:
    """The site of the newest reign with replicated writes that had begun by then."""
    begun = [reign for reign in _replicated(history) if reign.since_s <= at_s]
    return begun[-1].site if begun else None


def unexpected(expected: Expected, history: History, timeline: Timeline, control: str) -> list[str]:
    """What the table of partitions says otherwise; empty where it agrees."""
    found = measured(history, timeline, control)
    wrong = []
    if expected.master and found.get("master_after") not in (None, expected.master):
        wrong.append(f"{found['master_after']} led before the mending, not {expected.master}")
    if expected.standby is True and found.get("standby_started_after_s") is None:
        wrong.append("the standby started no task before the mending")
    needless = any(line.site == control and line.event == "start" for line in history.effects)
    if expected.standby is False and needless and not _leased_before(history, timeline):
        wrong.append("the standby started tasks although a site was not lost for long")
    return wrong


def _leased_before(history: History, timeline: Timeline) -> bool:
    """Whether a lease was live before the first fault: an earlier case's site still returns."""
    cut_s = timeline.first_break_s()
    return cut_s is not None and any(grant.monotonic_s < cut_s for grant in history.grants)


def _replicated(history: History) -> list[Reign]:
    return reigns(history.acks, replicas=1)


def _since(cut_s: float, moments: Iterable[float], until_s: float) -> float | None:
    found = min((at for at in moments if cut_s <= at <= until_s), default=None)
    return None if found is None else round(found - cut_s, 3)
