"""`turtle lab fault`: break the running lab in named ways, and mend it."""

from collections.abc import Callable
from typing import Annotated

import typer
from rich.table import Table

from deploy.cli.output import AsJson, console, errors_told, print_json
from deploy.lab.faults import Fault, Faults
from deploy.lab.paths import lab_paths

Site = Annotated[str, typer.Argument(help="Site, as `dc1`.")]
Other = Annotated[str, typer.Argument(help="Another site.")]
Process = Annotated[
    str, typer.Argument(help="Process, as `turtle lab status` shows it, or `all` of the site.")
]

app = typer.Typer(
    help="Break the running lab, and mend it: `turtle lab fault cut-link dc1 dc2`, then "
    "`turtle lab fault heal`. Faults of links need `turtle lab up --driver namespaces`.",
    no_args_is_help=True,
)


@app.command()
def kill(
    site: Site,
    process: Process,
    only_main: Annotated[bool, typer.Option(help="Leave its children.")] = False,
    as_json: AsJson = False,
) -> None:
    """End a process at once (KILL): `kill dc1 worker`."""
    _switch_on(as_json, lambda faults: faults.kill(site, process, only_main=only_main))


@app.command()
def stop(site: Site, process: Process, as_json: AsJson = False) -> None:
    """Freeze a process (STOP), its connections stay open: `stop dc1 redis`."""
    _switch_on(as_json, lambda faults: faults.stop(site, process))


@app.command()
def resume(site: Site, process: Process, as_json: AsJson = False) -> None:
    """Let a frozen process go on: `resume dc1 redis`."""
    _do(as_json, f"{process} of {site} goes on.", lambda faults: faults.resume(site, process))


@app.command()
def restart(site: Site, process: Process, as_json: AsJson = False) -> None:
    """End a process in the orderly way and start it: `restart dc2 all`."""
    _do(as_json, f"{process} of {site} runs.", lambda faults: faults.restart(site, process))


@app.command()
def cut_site(site: Site, as_json: AsJson = False) -> None:
    """Cut a site off the others: `cut-site dc1`."""
    _switch_on(as_json, lambda faults: faults.cut_site(site))


@app.command()
def cut_link(site: Site, other: Other, as_json: AsJson = False) -> None:
    """Cut everything between two sites: `cut-link dc1 dc3`."""
    _switch_on(as_json, lambda faults: faults.cut_link(site, other))


@app.command()
def cut_oneway(
    sender: Annotated[str, typer.Argument(help="The site that is not heard.")],
    receiver: Annotated[str, typer.Argument(help="The site that does not hear it.")],
    as_json: AsJson = False,
) -> None:
    """Let nothing pass from one site to another: `cut-oneway dc1 dc2`."""
    _switch_on(as_json, lambda faults: faults.cut_oneway(sender, receiver))


@app.command()
def cut_overlay(site: Site, other: Other, as_json: AsJson = False) -> None:
    """Cut WireGuard between two sites, not the public way: `cut-overlay dc1 dc3`."""
    _switch_on(as_json, lambda faults: faults.cut_overlay(site, other))


@app.command()
def block_port(
    site: Site,
    port: Annotated[int, typer.Argument(help="TCP and UDP port.")],
    as_json: AsJson = False,
) -> None:
    """Let no other site reach a port: `block-port dc1 6379`."""
    _switch_on(as_json, lambda faults: faults.block_port(site, port))


@app.command()
def slow_link(
    site: Site,
    other: Other,
    ms: Annotated[float, typer.Option(help="Delay of each packet in each direction, ms.")],
    jitter_ms: Annotated[float, typer.Option(help="Up to so much more, by chance, ms.")] = 0.0,
    loss: Annotated[float, typer.Option(help="Share of packets lost, 0 to 1.")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Delay all between two sites: `slow-link dc1 dc3 --ms 80 --loss 0.01`."""
    _switch_on(
        as_json,
        lambda faults: faults.slow_link(site, other, delay_ms=ms, jitter_ms=jitter_ms, loss=loss),
    )


@app.command()
def fill_disk(site: Site, as_json: AsJson = False) -> None:
    """Fill a site's disk: `fill-disk dc1`. The first time restarts the site's processes."""
    _switch_on(as_json, lambda faults: faults.fill_disk(site))


@app.command()
def skew_clock(
    site: Site,
    s: Annotated[float, typer.Option(help="Seconds, late ones negative; `--s=-45`.")],
    as_json: AsJson = False,
) -> None:
    """Set a site's clock wrong: `skew-clock dc1 --s 45`. The first time restarts its processes."""
    _switch_on(as_json, lambda faults: faults.skew_clock(site, by_s=s))


@app.command()
def api_errors(
    site: Site,
    mode: Annotated[
        str, typer.Option(help="How it fails, as `slow`; a wrong one is answered with all.")
    ] = "http_500",
    for_s: Annotated[float, typer.Option(help="How long at most, seconds.")] = 600.0,
    as_json: AsJson = False,
) -> None:
    """Let a site's device, or fly's API at dc3, fail: `api-errors dc1 --mode slow`."""
    _switch_on(as_json, lambda faults: faults.api_errors(site, mode=mode, for_s=for_s))


@app.command()
def heal(
    fault: Annotated[
        list[str] | None, typer.Argument(help="A fault as `list` shows it; default: all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Undo one fault, `heal cut-link dc1 dc2`, or all: `heal`."""
    with errors_told(as_json):
        healed = Faults(lab_paths()).heal(" ".join(fault) if fault else None)
    if as_json:
        print_json({"healed": healed})
    else:
        console().print(f"Healed: {', '.join(healed)}." if healed else "No fault is on.")


@app.command(name="list")
def show(as_json: AsJson = False) -> None:
    """Show which faults are on."""
    with errors_told(as_json):
        found = Faults(lab_paths()).active()
    if as_json:
        print_json([_as_json(fault) for fault in found])
        return
    table = Table("fault", "since", "details")
    for fault in found:
        details = ", ".join(f"{name} {value}" for name, value in fault.options.items())
        table.add_row(fault.id, f"{fault.since:%Y-%m-%d %H:%M:%S} UTC", details)
    console().print(table if found else "No fault is on.")


def _switch_on(as_json: bool, operation: Callable[[Faults], Fault]) -> None:
    with errors_told(as_json):
        fault = operation(Faults(lab_paths()))
    if as_json:
        print_json(_as_json(fault))
    else:
        console().print(f"On: {fault.id}    Undo: turtle lab fault heal {fault.id}")


def _do(as_json: bool, done: str, operation: Callable[[Faults], None]) -> None:
    with errors_told(as_json):
        operation(Faults(lab_paths()))
    if as_json:
        print_json({"done": done})
    else:
        console().print(done, highlight=False)


def _as_json(fault: Fault) -> dict[str, object]:
    return {"id": fault.id, **fault.model_dump(mode="json", exclude={"helper"})}
