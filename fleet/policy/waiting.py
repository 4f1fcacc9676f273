"""The reason why an accepted run does not run yet, in the order in which the causes count."""

from collections.abc import Sequence
from datetime import datetime

from fleet.policy.dispatch import Supply, slots_for
from fleet.policy.routing import split_queue


def reason(
    *,
    now: datetime,
    run_after: datetime | None,
    published: bool,
    broker_away: str,
    home: str,
    queue: str,
    supply: Sequence[Supply],
    last_reason: str = "",
) -> str:
    """One sentence. `home` is "" for the control plane's own runs, `broker_away` "" when it
    answers, `last_reason` what the ledger last noted about the run."""
    if run_after is not None and run_after > now:
        wait_s = (run_after - now).total_seconds()
        noted = f" ({last_reason})" if last_reason else ""
        return f"not before {run_after:%Y-%m-%d %H:%M:%S} UTC, in {wait_s:.0f} s{noted}"
    if not slots_for(queue, supply):
        capability, site = split_queue(queue)
        where = f" at {site}" if site else ""
        return f"no live worker{where} has the capability {capability}"
    if published:
        return "in the broker, behind other tasks or about to be taken"
    if home:
        return f"its home {home} has not published it yet"
    if broker_away:
        return f"waits for the broker: {broker_away}"
    return "in the ledger, about to be published"
