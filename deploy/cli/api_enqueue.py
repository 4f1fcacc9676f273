"""`turtle enqueue`: one task, from the command line."""

import json
from typing import Annotated, Any

import typer

from deploy.cli import api_options as options
from deploy.cli.api_common import ahead, calling, from_now, moment, usage_error
from deploy.cli.api_tables import print_runs
from deploy.cli.api_wait import wait_and_report
from deploy.cli.output import AsJson, print_json

Task = Annotated[str, typer.Argument(help="Name of the task, as `dev.git_log`.")]
Arguments = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE...",
        help="Named arguments. A value that is JSON is taken as JSON, any other as text; "
        "to send the text 5, write '\"5\"'.",
    ),
]
Args = Annotated[str | None, typer.Option("--args", help="Positional arguments, a JSON list.")]
Kwargs = Annotated[str | None, typer.Option("--kwargs", help="Named arguments, a JSON object.")]
Site = Annotated[str | None, typer.Option("--site", help="Run it at this site only.")]
Queue = Annotated[str | None, typer.Option("--queue", help="CAPABILITY or CAPABILITY.SITE.")]
Priority = Annotated[
    str | None, typer.Option("--priority", help="batch, normal, high, incident, or -100 to 100.")
]
Delay = Annotated[
    float | None, typer.Option("--delay", metavar="SECONDS", help="Not before so long.")
]
At = Annotated[
    str | None, typer.Option("--at", metavar="TIME", help="Not before this time (ISO 8601).")
]
Expires = Annotated[
    str | None,
    typer.Option("--expires", metavar="TIME|SECONDS", help="Not started after this time."),
]
Key = Annotated[
    str | None, typer.Option("--key", help="Idempotency key: the same again adds nothing.")
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it has finished.")]


def enqueue(
    task: Task,
    arguments: Arguments = None,
    args: Args = None,
    kwargs: Kwargs = None,
    site: Site = None,
    queue: Queue = None,
    priority: Priority = None,
    delay: Delay = None,
    at: At = None,
    expires: Expires = None,
    key: Key = None,
    wait: Wait = False,
    timeout: options.Timeout = None,
    url: options.Url = None,
    token_file: options.TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Enqueue a task and print its run."""
    call = {
        "task": task,
        "args": _json(args, "--args", list) or [],
        "kwargs": {**(_json(kwargs, "--kwargs", dict) or {}), **_pairs(arguments or [])},
        "site": site,
        "queue": queue,
        "priority": _number_or_word(priority),
        "run_after": _run_after(delay, at),
        "expires_at": ahead(expires, "--expires"),
        "idempotency_key": key,
    }
    with calling(url, token_file, as_json) as client:
        run = client.post("tasks", call)
        if wait:
            wait_and_report(client, run["id"], timeout_s=timeout, as_json=as_json)
        else:
            print_json(run) if as_json else print_runs([run])


def _pairs(arguments: list[str]) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for text in arguments:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise usage_error(f"{text!r} is not KEY=VALUE; see --args", "KEY=VALUE")
        if name in pairs:
            raise usage_error(f"{name!r} is given twice", "KEY=VALUE")
        pairs[name] = _json_or_text(value)
    return pairs


def _json_or_text(value: str) -> Any:
    """`NaN` is text: it is no JSON, whatever Python's parser says."""
    try:
        return json.loads(value, parse_constant=lambda name: name)
    except (ValueError, RecursionError):
        return value


def _json(text: str | None, option: str, kind: type) -> Any:
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise usage_error(f"{text!r} is not JSON: {error}", option) from None
    if not isinstance(found, kind):
        raise usage_error(f"use a JSON {'list' if kind is list else 'object'}", option)
    return found


def _number_or_word(priority: str | None) -> int | str | None:
    try:
        return None if priority is None else int(priority)
    except ValueError:
        return priority


def _run_after(delay: float | None, at: str | None) -> str | None:
    if delay is not None and at is not None:
        raise usage_error("use either --delay or --at", "--at")
    if delay is not None:
        return from_now(delay, "--delay")
    return None if at is None else moment(at, "--at").isoformat()
