"""The command line `turtle`. Each group of commands is a module of this package."""

import typer

from deploy.cli import lab
from deploy.cli.api_register import add_api_commands

app = typer.Typer(
    name="turtle",
    help="Turtle Fleet: work that runs on other people's LANs.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.add_typer(lab.app, name="lab")
add_api_commands(app)
