"""`turtle lab scenario`: break the fleet as written, and see what it makes of that."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.cli.output import AsJson, console, error_console, errors_told, print_json
from deploy.lab.paths import REPOSITORY, lab_paths
from deploy.lab.progress import Progress
from deploy.lab.scenario import catalogue
from deploy.lab.scenario.paper import markdown
from deploy.lab.scenario.result import Result, Status
from deploy.lab.scenario.runner import Runner
from deploy.lab.scenario.script import Scenario
from deploy.lab.scenario.stage import Stage
from deploy.topology import topology

STYLES = {Status.GREEN: "green", Status.RED: "bold red", Status.BROKEN: "yellow"}
MOST_REASONS = 5
PAGE = REPOSITORY / "docs" / "faults.md"
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def _seconds(text: str) -> float:
    """`90`, `90s`, `10m` or `2h` in seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if found is None or not float(found[1]):
        raise typer.BadParameter(f"{text!r} is no length of time; use 90s, 10m or 2h")
    return float(found[1]) * _UNITS[found[2]]


def scenario(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A name or its beginning, `all`, `smoke`, `nemesis`, or `list`."
        ),
    ],
    seed: Annotated[int, typer.Option(help="Of the nemesis; also part of every key.")] = 1,
    time_scale: Annotated[
        float, typer.Option(min=0.05, max=1.0, help="Shrink detection and lease to this part.")
    ] = 1.0,
    for_: Annotated[
        str, typer.Option("--for", help="How long the nemesis goes on: 90s, 10m, 2h.")
    ] = "10m",
    paper: Annotated[bool, typer.Option(help=f"Write {PAGE.name} in docs.")] = False,
    as_json: AsJson = False,
) -> None:
    """Play scenarios on a lab in namespaces; exit status 1 unless all are green.

    turtle lab scenario list

    turtle lab scenario dc1-alone.cut.master-dc1.loaded.late-forward

    turtle lab scenario nemesis --seed 7 --for 10m
    """
    with errors_told(as_json):
        if name == "list":
            _show([*catalogue.every().values()], as_json)
            return
        chosen = catalogue.chosen(name, seed=seed, for_s=_seconds(for_))
        report, folder = _runner(seed, time_scale, as_json).run(chosen)
        found = report.as_json()
        if paper:
            PAGE.write_text(markdown(found), encoding="utf-8")
    if as_json:
        print_json(found)
    else:
        _tell_the_end(report.green, folder)
    raise typer.Exit(0 if report.green else 1)


def _runner(seed: int, time_scale: float, as_json: bool) -> Runner:
    progress = Progress(error_console() if as_json else console())
    stage = Stage(paths=lab_paths(), topology=topology(), progress=progress)
    return Runner(stage=stage, seed=seed, time_scale=time_scale, tell=_teller(progress.console))


def _show(scenarios: list[Scenario], as_json: bool) -> None:
    if as_json:
        print_json([{"name": one.name, "sentence": one.sentence()} for one in scenarios])
        return
    table = Table("name", "what happens", title=f"{len(scenarios)} scenarios")
    for one in scenarios:
        table.add_row(one.name, one.sentence())
    console().print(table)


def _teller(out: Console) -> Callable[[int, int, Result], None]:
    """A line a case, and what is wrong with it."""

    def tell(number: int, total: int, result: Result) -> None:
        style = STYLES[result.status]
        out.print(
            f"{number}/{total} [{style}]{result.status}[/] {result.name} ({result.seconds:.0f} s)",
            highlight=False,
        )
        for reason in result.why[:MOST_REASONS]:
            out.print(f"    {reason}", markup=False, highlight=False)

    return tell


def _tell_the_end(green: bool, folder: Path) -> None:
    out = console()
    out.print("All green." if green else "Not all green.", style="green" if green else "bold red")
    out.print(f"Report, and a folder a case: {folder}", highlight=False, soft_wrap=True)
