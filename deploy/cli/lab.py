"""`turtle lab`: the whole fleet on this machine."""

import os
import shutil
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from deploy.cli import lab_fault, lab_scenario
from deploy.cli.output import AsJson, console, error_console, errors_told, print_json
from deploy.lab import follow, lifecycle, parts, ports, status
from deploy.lab.driver import Driver
from deploy.lab.errors import LabError
from deploy.lab.paths import LabPaths, lab_paths
from deploy.lab.plan import ProcessPlan
from deploy.lab.processes import into_netns
from deploy.lab.progress import Progress
from deploy.lab.secret_files import SecretFiles
from deploy.lab.site_files import SiteFiles
from deploy.lab.state import LabState, lab_lock, read_state
from deploy.topology import topology

app = typer.Typer(
    help="The whole fleet on this machine: three sites on loopback addresses.", no_args_is_help=True
)
app.add_typer(lab_fault.app, name="fault")
app.command()(lab_scenario.scenario)


@app.command()
def up(
    driver: Annotated[
        Driver | None,
        typer.Option(
            help="How sites are kept apart; default: as it runs, else on loopback addresses. "
            "Links can be cut between namespaces only; those need root."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start what does not run, wait until all is ready, and tell where to look."""
    with errors_told(as_json):
        paths = lab_paths()
        with lab_lock(paths):
            state = _lab(paths, quiet_output=as_json, driver=driver).up()
    if as_json:
        print_json(state.model_dump(mode="json"))
    else:
        _tell_where_to_look(state, paths)


@app.command()
def down(as_json: AsJson = False) -> None:
    """Stop everything; the data stays."""
    with errors_told(as_json):
        paths = lab_paths()
        with lab_lock(paths):
            stopped = _lab(paths, quiet_output=as_json).down()
    if as_json:
        print_json({"stopped": stopped})
    else:
        console().print(f"Stopped {stopped} processes." if stopped else "Nothing was running.")


@app.command()
def clean(as_json: AsJson = False) -> None:
    """Stop everything and forget it: data, secrets, logs."""
    with errors_told(as_json):
        paths = lab_paths()
        with lab_lock(paths):
            _lab(paths, quiet_output=as_json).clean()
    if as_json:
        print_json({"removed": str(paths.root)})
    else:
        console().print(f"Forgot the lab in {paths.root}.", highlight=False)


@app.command(name="status")
def show_status(as_json: AsJson = False) -> None:
    """Show each process with its id, whether it lives, and its memory."""
    with errors_told(as_json):
        paths = lab_paths()
        state = _state(paths)
        found = status.statuses(parts.with_parts(_files(paths), state))
    if as_json:
        print_json([process.as_json() for process in found])
        return
    table = Table("site", "process", "pid", "state", "memory", "address")
    for process in found:
        table.add_row(
            process.site,
            process.name,
            str(process.pid),
            "[green]runs[/]" if process.alive else "[red]ended[/]",
            f"{process.memory_bytes / 2**20:.0f} MiB" if process.alive else "",
            process.address or "",
        )
    console().print(table if found else "Nothing runs. Start it: turtle lab up")


@app.command()
def logs(
    process: Annotated[
        str | None, typer.Argument(help="Process, as `worker` or `dc1/worker`; default: all.")
    ] = None,
    following: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is added.")
    ] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Lines of each log.")] = 20,
) -> None:
    """Show the end of the processes' logs."""
    with errors_told():
        chosen = _logs(_state(lab_paths()), process)
    out = console()

    def show(name: str, line: str) -> None:
        out.print(f"{name:<18} {line}", markup=False, highlight=False, soft_wrap=True)

    follow.show_tails(chosen, show, lines=lines)
    if following:
        try:
            follow.follow(chosen, show, threading.Event())
        except KeyboardInterrupt:
            return


@app.command(name="exec", context_settings={"ignore_unknown_options": True})
def execute(
    site: Annotated[str, typer.Argument(help="Site, as `dc1`.")],
    command: Annotated[list[str], typer.Argument(help="Command, after `--`.")],
) -> None:
    """Run a command with a site's environment: `turtle lab exec dc1 -- celery -A tasks status`."""
    with errors_told():
        paths = lab_paths()
        shape = topology()
        box = shape.site(site)
        if not paths.config(site).is_file():
            raise LabError("the lab was not started yet; run: turtle lab up")
        files = _files(paths)
        env = ProcessPlan(files).environment(box)
        program = shutil.which(command[0], path=env["PATH"])
        if program is None:
            raise LabError(f"no program {command[0]!r} found")
    sys.stdout.flush()
    argv = (*into_netns(files.addresses.sites[site].netns), program, *command[1:])
    os.execvpe(argv[0], argv, env)  # noqa: S606 - the caller's own command, no shell


def _lab(paths: LabPaths, *, quiet_output: bool, driver: Driver | None = None) -> lifecycle.Lab:
    progress = Progress(error_console() if quiet_output else console())
    return lifecycle.Lab(paths=paths, topology=topology(), progress=progress, driver=driver)


def _files(paths: LabPaths) -> SiteFiles:
    return SiteFiles(
        paths=paths,
        topology=topology(),
        addresses=ports.read(paths.addresses),
        secrets=SecretFiles(paths.secrets),
    )


def _state(paths: LabPaths) -> LabState:
    state = read_state(paths)
    if state is None:
        raise LabError("the lab was not started yet; run: turtle lab up")
    return state


def _logs(state: LabState, wanted: str | None) -> Mapping[str, Path]:
    every = {f"{site}/{name}": record.log for (site, name), record in state.records().items()}
    if wanted is None:
        return every
    chosen = {k: v for k, v in every.items() if wanted in (k, k.partition("/")[2])}
    if not chosen:
        raise LabError(f"no process {wanted!r}; there are: {', '.join(sorted(every)) or 'none'}")
    return chosen


def _tell_where_to_look(state: LabState, paths: LabPaths) -> None:
    out = console()
    rows = {
        "Dashboard": f"{state.control_url}/",
        "Admin": f"{state.control_url}/admin/",
        "API": f"{state.api_url}/docs",
        "Flower": state.flower_url,
        "Login": f"{state.admin_user} / {state.admin_password}",
        "For scripts": str(paths.lab_json),
    }
    out.print()
    for title, text in rows.items():
        out.print(f"  {title:<12} {text}", markup=False, highlight=False, soft_wrap=True)
    turtle = as_typed(Path.cwd())
    out.print(
        f"\n  Logs: {turtle} lab logs -f    Stop: {turtle} lab down\n",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def as_typed(folder: Path) -> str:
    """This program as it can be typed in `folder`: by its name only where PATH leads to it."""
    own = Path(sys.executable).with_name("turtle")
    found = shutil.which("turtle")
    if found and Path(found).absolute() == own:
        return "turtle"
    return str(own.relative_to(folder)) if own.is_relative_to(folder) else str(own)
