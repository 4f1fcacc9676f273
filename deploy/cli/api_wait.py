"""Waiting for a run to finish, over the API."""

import threading
import time
from typing import Any

import typer

from deploy.cli.api_common import INTERRUPTED, NOT_SUCCESSFUL, TIMED_OUT, note
from deploy.cli.api_tables import print_run
from deploy.cli.client import ApiClient, UnreachableError
from deploy.cli.output import print_json
from fleet.policy.states import FINISHED, RunStatus

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 2.0
#: A control plane that restarts is back by then.
PATIENCE_S = 30.0


def wait_and_report(
    client: ApiClient, run_id: str, *, timeout_s: float | None, as_json: bool
) -> None:
    """Print the run once it has finished; ends the command unless it succeeded."""
    try:
        run = wait_for(client, run_id, timeout_s=timeout_s)
    except KeyboardInterrupt:
        note(f"The run goes on. Look again: turtle tasks show {run_id}")
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        print_json(run)
    else:
        print_run(run)
    if run["status"] not in FINISHED:
        note(f"Not finished after {timeout_s:g} s; the run goes on.")
        raise typer.Exit(TIMED_OUT)
    if run["status"] != RunStatus.SUCCESSFUL:
        raise typer.Exit(NOT_SUCCESSFUL)


def wait_for(client: ApiClient, run_id: str, *, timeout_s: float | None) -> dict[str, Any]:
    """The run when it has finished, or as it is after `timeout_s` seconds.

    Raises UnreachableError when the API stays away for longer than `PATIENCE_S`.
    """
    never, pause_s = threading.Event(), FIRST_PAUSE_S
    heard = started = time.monotonic()
    while True:
        run = None
        try:
            run = client.get(f"tasks/{run_id}")
            heard = time.monotonic()
        except UnreachableError:
            if time.monotonic() - heard > PATIENCE_S:
                raise
        left_s = float("inf") if timeout_s is None else started + timeout_s - time.monotonic()
        if run is not None and (run["status"] in FINISHED or left_s <= 0):
            return dict(run)
        never.wait(max(0.05, min(pause_s, left_s)))
        pause_s = min(LONGEST_PAUSE_S, pause_s * 1.5)
