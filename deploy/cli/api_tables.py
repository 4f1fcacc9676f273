"""Runs, workers, sites and queues as tables for people."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from textwrap import shorten
from typing import Any

from rich.table import Table
from rich.text import Text

from deploy.cli.api_common import age, span, words
from deploy.cli.output import console

STYLES = {
    "READY": "cyan",
    "RUNNING": "blue",
    "SUCCESSFUL": "green",
    "FAILED": "red",
    "CANCELLED": "dim",
    "DEAD": "bold red",
    "LOST": "yellow",
    "alive": "green",
    "suspect": "yellow",
    "dead": "red",
}
Row = Mapping[str, Any]
#: A narrower terminal has no room for all columns of a run beside its id, which must stay whole.
ROOMY_COLUMNS = 130
#: Tables are never squeezed further; a terminal that is narrower breaks the lines itself.
LEAST_COLUMNS = 80
#: So much of a reason is shown below the task where there is no column for it.
REASON_CHARS = 60


def print_runs(runs: Sequence[Row]) -> None:
    """A line a run; in a narrow terminal its reason stands below the task, cut."""
    now = datetime.now(UTC)
    narrow = console().width < ROOMY_COLUMNS
    cells = _narrow_cells if narrow else _roomy_cells
    rows = [
        (run["id"], state(run["status"]), age(run["enqueued_at"], now), *cells(run)) for run in runs
    ]
    heads = ("task",) if narrow else ("attempts", "task", "queue", "reason")
    show(("id", "status", "enqueued", *heads), rows, "No run matches.", whole=3)


def _roomy_cells(run: Row) -> tuple[Any, ...]:
    attempts = f"{run['attempts']}/{run['max_attempts']}"
    return attempts, run["task"], run["queue_name"], _why(run)


def _narrow_cells(run: Row) -> tuple[Any, ...]:
    why = "" if run["status"] == "SUCCESSFUL" else _why(run)
    reason = shorten(why, REASON_CHARS, placeholder="…")
    return (f"{run['task']}\n{reason}" if reason else run["task"],)


def print_run(run: Row) -> None:
    """One run with its history."""
    facts = {
        "id": run["id"],
        "status": state(run["status"]),
        "reason": run["reason"],
        "waits because": run["waiting_reason"],
        "args": _json(run["args"]),
        "kwargs": _json(run["kwargs"]),
        "queue": f"{run['queue_name']} (effect class {run['effect']})",
        "enqueued": f"{run['enqueued_at']} by {run['enqueued_by'] or '-'}",
        "run after": run["run_after"],
        "expires": run["expires_at"],
        "finished": run["finished_at"],
        "error": _why(run) if run["error"] else None,
        "result": None if run["return_value"] is None else _json(run["return_value"]),
        "result kept": None if run["result_meta"] is None else _json(run["result_meta"]),
    }
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        if value:
            table.add_row(Text(name, style="dim"), _cell(value))
    out = console()
    out.print(Text(run["task"], style="bold"))
    out.print(table)
    _print_history(run)


def _print_history(run: Row) -> None:
    attempts = [
        (a["number"], state(a["status"]), a["worker_id"], a["started_at"], a["ended_at"])
        for a in run["attempt_list"]
    ]
    if attempts:
        show(("attempt", "status", "worker", "started", "ended"), attempts, "")
    events = [
        (e["at"], e["event"], f"{e['from_status'] or '-'} > {e['to_status']}", e["who"], e["why"])
        for e in run["events"]
    ]
    show(("at", "event", "change", "who", "why"), events, "")


def print_workers(workers: Sequence[Row]) -> None:
    """A line a worker."""
    rows = [
        (
            w["id"],
            state(w["liveness"]),
            w["reason"],
            w["site"],
            f"{w['busy']}/{w['slots']}",
            words(w["capabilities"]),
            w["version"],
        )
        for w in workers
    ]
    heads = ("worker", "state", "because", "site", "busy", "capabilities", "version")
    show(heads, rows, "No worker has ever reported.")


def print_sites(sites: Sequence[Row]) -> None:
    """A line a site."""
    rows = [
        (
            s["name"],
            s["title"],
            state(s["liveness"]),
            s["reason"],
            f"{s['workers_alive']}/{s['workers']}",
            sum(j["pending"] for j in s["journals"]),
            words(j["trouble"] for j in s["journals"] if j["trouble"]),
        )
        for s in sites
    ]
    heads = ("site", "title", "state", "because", "workers", "unreported", "trouble")
    show(heads, rows, "No site is known; run: manage.py provision")


def print_queues(queues: Sequence[Row], broker: Row) -> None:
    """A line a queue, and the age of what the broker said."""
    rows = [
        (
            q["name"],
            "-" if q["depth"] is None else q["depth"],
            q["waiting"],
            q["published"],
            q["running"],
            span(q["oldest_age_s"]),
            words(s["id"] for s in q["served_by"] if s["liveness"] == "alive"),
        )
        for q in queues
    ]
    heads = ("queue", "in broker", "waiting", "published", "running", "oldest", "served by")
    show(heads, rows, "No queue holds anything, and no worker serves one.")
    away = f", away: {broker['away_reason']}" if broker["away_since"] else ""
    seen = "never seen" if broker["age_s"] is None else f"seen {span(broker['age_s'])} ago"
    console().print(
        Text(f"Broker {broker['master'] or 'unknown'}, {seen}{away}", style="dim"), soft_wrap=True
    )


def show(
    heads: Sequence[str], rows: Sequence[Sequence[Any]], nothing: str, *, whole: int = 1
) -> None:
    """A table, or the sentence that says why there is none.

    The first `whole` columns are never broken: an id in two lines could not be copied.
    """
    if not rows:
        console().print(Text(nothing))
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for index, head in enumerate(heads):
        table.add_column(head, overflow="fold", no_wrap=index < whole)
    for row in rows:
        table.add_row(*map(_cell, row))
    out = console()
    out.width = max(out.width, LEAST_COLUMNS)
    out.print(table)


def state(word: str) -> Text:
    """A status in its colour."""
    return Text(word, style=STYLES.get(word, ""))


def _cell(value: Any) -> Text:
    if isinstance(value, Text):
        return value
    return Text("-" if value is None else str(value))


def _why(run: Row) -> str:
    """Its error, else why it waits (not every answer of the API has that), else its reason."""
    error = run["error"] or {}
    if "message" in error:
        return f"{error.get('kind', 'error')}: {error['message']}"
    return str(run.get("waiting_reason") or run["reason"])


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
