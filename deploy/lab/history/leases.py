"""Starts at the standby's site, held against the log of leases and against physics."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from deploy.lab.history.effects import told_of
from deploy.lab.history.records import Alone, Effect, Grant, History
from deploy.lab.history.violations import Rule, Violation

#: The grantor regards a lease as free after this many times to live; a start later than that is
#: outside of it by everybody's clock.
DRIFT = 1.01


@dataclass(frozen=True, slots=True)
class Window:
    """From when until when starts were allowed, on the machine's monotonic clock."""

    since_s: float
    until_s: float


def outside_a_lease(history: History, standby: str) -> Iterator[Violation]:
    """Starts at site `standby` while no lease was live."""
    windows = lease_windows([g for g in history.grants if g.site == standby])
    begins = [window.since_s for window in windows]
    for line in _starts(history, standby):
        at = bisect_right(begins, line.monotonic_s) - 1
        if at < 0 or line.monotonic_s > windows[at].until_s:
            yield Violation(Rule.NO_LEASE, line.key, f"{told_of(line)}; {_nearest(windows, at)}")


def while_alone(history: History, standby: str, ttl_s: float) -> Iterator[Violation]:
    """Starts at a site that nobody can have reached for longer than a lease lives.

    Holds whatever a log of leases says: no renewal passes a cut cable.
    """
    spans = alone_spans([one for one in history.alone if one.site == standby])
    begins = [span.since_s for span in spans]
    for line in _starts(history, standby):
        at = bisect_right(begins, line.monotonic_s) - 1
        if at < 0 or line.monotonic_s >= spans[at].until_s:
            continue
        alone_s = line.monotonic_s - spans[at].since_s
        if alone_s > ttl_s * DRIFT:
            why = f"{told_of(line)}; {standby} had been alone for {alone_s:.1f} s"
            yield Violation(Rule.NO_LEASE, line.key, why)


def lease_windows(grants: list[Grant]) -> list[Window]:
    """The grants as windows; those that touch are one."""
    windows: list[Window] = []
    for grant in sorted(grants, key=lambda one: one.monotonic_s):
        until_s = grant.monotonic_s + grant.ttl_s * DRIFT
        if windows and grant.monotonic_s <= windows[-1].until_s:
            last = windows.pop()
            windows.append(Window(last.since_s, max(last.until_s, until_s)))
        else:
            windows.append(Window(grant.monotonic_s, until_s))
    return windows


def alone_spans(lines: list[Alone]) -> list[Window]:
    """The times alone; one without an end goes on for ever."""
    spans: list[Window] = []
    since_s: float | None = None
    for line in sorted(lines, key=lambda one: one.monotonic_s):
        if line.event == "alone" and since_s is None:
            since_s = line.monotonic_s
        elif line.event == "joined" and since_s is not None:
            spans.append(Window(since_s, line.monotonic_s))
            since_s = None
    return spans if since_s is None else [*spans, Window(since_s, float("inf"))]


def _starts(history: History, site: str) -> Iterator[Effect]:
    return (one for one in history.effects if one.event == "start" and one.site == site)


def _nearest(windows: list[Window], at: int) -> str:
    if at < 0:
        return "no lease had been given"
    return f"the last lease ended at {windows[at].until_s:.3f} s"
