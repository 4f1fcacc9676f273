"""Puts the commands over the API into the command line."""

import typer

from deploy.cli import api_enqueue, api_fleet, api_tasks
from deploy.cli.api_common import EXIT_CODES

ENQUEUE_EXAMPLES = (
    "Examples: turtle enqueue dev.git_log url=https://git.example.org/turtle.git limit=5 --wait "
    "· turtle enqueue network.dns_check --args '[\"example.org\"]' --site dc2 --priority high "
    "· turtle enqueue udm.gateway_health --at 2026-03-01T06:00:00Z --key morning. "
)


def add_api_commands(app: typer.Typer) -> None:
    """Add `enqueue`, `tasks`, `workers`, `sites` and `queues` to `app`."""
    app.command("enqueue", epilog=ENQUEUE_EXAMPLES + EXIT_CODES)(api_enqueue.enqueue)
    app.add_typer(api_tasks.app, name="tasks")
    app.command("workers", epilog="Example: turtle workers --json")(api_fleet.workers)
    app.command("sites", epilog="Example: turtle sites")(api_fleet.sites)
    app.command("queues", epilog="Example: turtle queues")(api_fleet.queues)
