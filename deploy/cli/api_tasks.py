"""`turtle tasks`: find runs, look at them, cancel, retry, wait."""

from typing import Annotated, Any

import typer

from deploy.cli.api_common import EXIT_CODES, REFUSED, calling, past, tell
from deploy.cli.api_options import Timeout, TokenFile, Url
from deploy.cli.api_tables import print_run, print_runs
from deploy.cli.api_wait import wait_and_report
from deploy.cli.client import ApiClient, RefusedByApiError
from deploy.cli.output import AsJson, print_json

#: The API's own limit of one page.
PAGE = 500

app = typer.Typer(help="Find runs, look at them, cancel, retry, wait.", no_args_is_help=True)

RunId = Annotated[str, typer.Argument(metavar="ID", help="Id of the run.")]
RunIds = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of runs.")]
Why = Annotated[str, typer.Option("--why", help="The reason, kept in the run's events.")]
Statuses = Annotated[list[str] | None, typer.Option("--status", help="May be given several times.")]
Task = Annotated[str | None, typer.Option("--task", help="Name of the task.")]
Queue = Annotated[str | None, typer.Option("--queue", help="Name of the queue.")]
Site = Annotated[str | None, typer.Option("--site", help="Pinned to it, or attempted there.")]
Worker = Annotated[str | None, typer.Option("--worker", help="A worker that attempted it.")]
Since = Annotated[
    str | None,
    typer.Option("--since", help="Enqueued since: ISO 8601, or ago as 90s, 15m, 2h, 1d."),
]
Until = Annotated[str | None, typer.Option("--until", help="Enqueued before; as --since.")]
Text = Annotated[
    str | None, typer.Option("--text", "-q", help="Text in task, id, arguments or error.")
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")]


@app.command(
    name="list",
    epilog="Example: turtle tasks list --status failed --status dead --since 2h --task dev.git_log",
)
def list_runs(
    status: Statuses = None,
    task: Task = None,
    queue: Queue = None,
    site: Site = None,
    worker: Worker = None,
    since: Since = None,
    until: Until = None,
    text: Text = None,
    limit: Limit = 50,
    url: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first."""
    query: dict[str, Any] = {
        "status": status,
        "task": task,
        "queue": queue,
        "site": site,
        "worker": worker,
        "since": past(since, "--since"),
        "until": past(until, "--until"),
        "q": text,
    }
    with calling(url, token_file, as_json) as client:
        page = _pages(client, query, limit)
    print_json(page) if as_json else print_runs(page["items"])


@app.command(epilog="Example: turtle tasks show 0198c3a0-0000-7000-8000-000000000000 --json")
def show(
    run_id: RunId, url: Url = None, token_file: TokenFile = None, as_json: AsJson = False
) -> None:
    """Show one run with its attempts, its events and why it waits."""
    with calling(url, token_file, as_json) as client:
        run = client.get(f"tasks/{run_id}")
    if as_json:
        print_json(run)
    else:
        print_run(run)


@app.command(epilog="Example: turtle tasks cancel ID1 ID2 --why 'the router is being replaced'")
def cancel(
    run_ids: RunIds,
    why: Why = "",
    url: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Cancel runs that have not finished."""
    with calling(url, token_file, as_json) as client:
        _operate(client, run_ids, "cancel", why, as_json)


@app.command(epilog="Example: turtle tasks retry ID --why 'the disk has room again'")
def retry(
    run_ids: RunIds,
    why: Why = "",
    url: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Give failed, cancelled or dead runs another attempt."""
    with calling(url, token_file, as_json) as client:
        _operate(client, run_ids, "retry", why, as_json)


@app.command(epilog=f"Example: turtle tasks wait ID --timeout 60. {EXIT_CODES}")
def wait(
    run_id: RunId,
    timeout: Timeout = None,
    url: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Wait until a run has finished, and show it."""
    with calling(url, token_file, as_json) as client:
        wait_and_report(client, run_id, timeout_s=timeout, as_json=as_json)


def _pages(client: ApiClient, query: dict[str, Any], limit: int) -> dict[str, Any]:
    items: list[Any] = []
    cursor = None
    while True:
        page = client.get("tasks", **query, cursor=cursor, limit=min(PAGE, limit - len(items)))
        items += page["items"]
        cursor = page["next"]
        if cursor is None or len(items) >= limit:
            return {"items": items, "next": cursor}


def _operate(client: ApiClient, run_ids: list[str], verb: str, why: str, as_json: bool) -> None:
    """Each on its own: one that is refused does not keep the others from it."""
    done, refused = [], 0
    for run_id in run_ids:
        try:
            done.append(client.post(f"tasks/{run_id}/{verb}", {"why": why}))
        except RefusedByApiError as error:
            tell(error)
            refused += 1
    if as_json:
        print_json(done)
    elif done:
        print_runs(done)
    if refused:
        raise typer.Exit(REFUSED)
