"""`python -m deploy.lab.history FOLDER`: exit status 0 without violations, 1 with, 2 unusable."""

import json
from pathlib import Path
from typing import Annotated

import typer

from deploy.lab.history.check import Verdict, check_folder
from deploy.lab.history.violations import MEANING
from deploy.topology import topology
from fleet.policy.errors import FleetError
from fleet.policy.timing import TIMING

MOST_SHOWN = 20


def main(
    folder: Annotated[Path, typer.Argument(help="Folder of one run; everything below it counts.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    standby: Annotated[
        str | None, typer.Option(help="Site whose workers need a lease (default: control plane's).")
    ] = None,
    ttl_s: Annotated[
        float, typer.Option("--ttl", min=0.1, help="Seconds that a lease lives.")
    ] = TIMING.lease_ttl_s,
) -> None:
    """Check a history that producers and effects wrote."""
    try:
        site = standby or topology().control_site.name
        verdict = check_folder(folder, standby=site, ttl_s=ttl_s)
    except FleetError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2) from error
    typer.echo(json.dumps(verdict.as_json(), indent=2) if as_json else text_of(verdict))
    raise typer.Exit(0 if verdict.green else 1)


def text_of(verdict: Verdict) -> str:
    """The verdict for people: a line a rule, the first violations, the figures."""
    rules = [
        f"{'ok ' if not count else 'RED'} {rule:<22} {count:>5}  {MEANING[rule]}"
        for rule, count in verdict.by_rule().items()
    ]
    shown = [f"  {v.rule}: {v.about}: {v.shown_by}" for v in verdict.violations[:MOST_SHOWN]]
    more = len(verdict.violations) - MOST_SHOWN
    rest = [f"  and {more} more; --json shows all"] if more > 0 else []
    return "\n".join([*rules, *shown, *rest, json.dumps(verdict.figures, indent=2)])


if __name__ == "__main__":
    typer.run(main)
