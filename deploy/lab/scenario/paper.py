"""`docs/faults.md`: a row a scenario, and the figures beside their aims."""

from collections.abc import Iterator, Mapping
from typing import Any

HEAD = """# Faults: what was broken, and what happened

This page is written by `make faults`; do not edit it. Each scenario breaks a fleet of real
processes in network namespaces while tasks come in, mends it, and then a history checker reads
what producers and tasks wrote. It never asks the fleet for its opinion.
"""
WORDS = {"green": "green", "red": "**RED**", "broken": "could not be played"}
REACHED = {True: "reached", False: "**missed**", None: "not measured"}
MOST_REASONS = 3


def markdown(report: Mapping[str, Any]) -> str:
    """The page for a report as `Report.as_json` gives it."""
    return "\n".join(
        [
            HEAD,
            *_summary(report),
            "\n## Figures beside their aims\n",
            *_figures(report),
            "\n## Scenarios\n",
            *_scenarios(report),
            *_reds(report),
            "",
        ]
    )


def _summary(report: Mapping[str, Any]) -> Iterator[str]:
    counts, totals = report["counts"], report["totals"]
    yield (
        f"Played on {report['began'][:10]} with seed {report['seed']}: "
        f"{counts.get('green', 0)} green, {counts.get('red', 0)} red, "
        f"{counts.get('broken', 0)} could not be played. "
        f"{totals.get('accepted', 0)} tasks were accepted, {totals.get('lost', 0)} lost, "
        f"{totals.get('effect twice', 0)} took effect twice, "
        f"{totals.get('started twice', 0)} of class D started twice."
    )
    if report["time_scale"] != 1:
        yield (
            f"\n**The timers of detection and lease were shrunk to {report['time_scale']:g} of "
            "their length: the figures below show that things work, not how long they take.**"
        )


def _figures(report: Mapping[str, Any]) -> Iterator[str]:
    yield "| figure | cases | p50 | p95 | max | aim | |"
    yield "|---|---|---|---|---|---|---|"
    for one in report["figures"]:
        cells = (_number(one.get(key)) for key in ("p50", "p95", "max"))
        aim = f"{one['over']} ≤ {one['aim']:g}"
        result = REACHED[one["reached"]]
        yield f"| {one['title']} | {one['cases']} | {' | '.join(cells)} | {aim} | {result} |"


def _scenarios(report: Mapping[str, Any]) -> Iterator[str]:
    yield "| scenario | result | tasks | again | new master, s | new task, s | standby, s | what |"
    yield "|---|---|---|---|---|---|---|---|"
    for case in report["cases"]:
        figures = case["figures"]
        keys = ("new_master_after_s", "new_task_started_after_s", "standby_started_after_s")
        counts = f"{figures.get('accepted', '')} | {figures.get('repeated_starts', '')}"
        times = " | ".join(_number(figures.get(key)) for key in keys)
        yield (
            f"| `{case['name']}` | {WORDS[case['status']]} | {counts} | {times} "
            f"| {case['sentence']} |"
        )


def _reds(report: Mapping[str, Any]) -> Iterator[str]:
    bad = [case for case in report["cases"] if case["status"] != "green"]
    if bad:
        yield "\n## What went wrong\n"
    for case in bad:
        yield f"- `{case['name']}`: {WORDS[case['status']]}"
        yield from (f"  - {reason}" for reason in case["why"][:MOST_REASONS])
        more = len(case["why"]) - MOST_REASONS
        if more > 0:
            yield f"  - and {more} more"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
