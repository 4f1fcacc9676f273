"""Puts the commands over the API into the command line."""

import typer

from deploy.cli import api_enqueue, api_fleet, api_operate, api_tasks
from deploy.cli.api_common import EXIT_CODES

ENQUEUE_EXAMPLES = (
    "Examples: turtle enqueue dev.git_log url=https://git.example.org/turtle.git limit=5 --wait "
    "· turtle enqueue network.dns_check --args '[\"example.org\"]' --site dc2 --priority high "
    "· turtle enqueue udm.gateway_health --at 2026-03-01T06:00:00Z --key morning. "
)
MAINT_EXAMPLES = (
    "Examples: turtle maint dc1 --for 2h --reason 'new disk' · turtle maint dc1 --end. "
)
OVERRIDE_EXAMPLES = (
    "Examples: turtle override --epoch 7 --assert-down dc1,dc2 --ttl 60m "
    "--reason 'both owners called' · turtle override --end. "
)


def add_api_commands(app: typer.Typer) -> None:
    """Add every command that speaks to the API to `app`."""
    app.command("enqueue", epilog=ENQUEUE_EXAMPLES + EXIT_CODES)(api_enqueue.enqueue)
    app.add_typer(api_tasks.app, name="tasks")
    app.command("workers", epilog="Example: turtle workers --json")(api_fleet.workers)
    app.command("sites", epilog="Example: turtle sites")(api_fleet.sites)
    app.command("fleet", epilog="Example: turtle fleet --json")(api_operate.fleet)
    app.command("maint", epilog=MAINT_EXAMPLES + EXIT_CODES)(api_operate.maint)
    app.command("override", epilog=OVERRIDE_EXAMPLES + EXIT_CODES)(api_operate.override)
    app.command("standby-confirm", epilog="Example: turtle standby-confirm")(api_operate.confirm)
    app.command("queues", epilog="Example: turtle queues")(api_fleet.queues)
