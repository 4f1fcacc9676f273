"""What every command prints in the same way: JSON, and errors."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console

from fleet.policy.errors import FleetError

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def console() -> Console:
    """For people: standard output."""
    return Console()


def error_console() -> Console:
    """For progress and errors: standard error, so that output can be piped."""
    return Console(stderr=True)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, indent=2, default=str))


@contextmanager
def errors_told(as_json: bool = False) -> Iterator[None]:
    """Turn an error of the fleet into its message and exit code 1."""
    try:
        yield
    except FleetError as error:
        if as_json:
            print_json({"error": str(error), "blame": error.blame, "transient": error.transient})
        else:
            error_console().print(f"Error: {error}", style="red", markup=False, highlight=False)
        raise typer.Exit(1) from error
