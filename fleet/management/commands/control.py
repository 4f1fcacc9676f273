"""`manage.py control`: web, control loop (with beat), agent and Flower, supervised together."""

import importlib
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand

from fleet.control.processes import run_agent, run_flower, run_loop, run_web
from fleet.control.supervisor import Supervisor
from tasks.settings import settings

PARTS = ("web", "loop", "agent", "flower")
#: Loaded before the fork, so that the children share the memory.
PRELOAD = (
    "uvicorn",
    "uvicorn.protocols.http.auto",
    "uvicorn.loops.auto",
    "turtle_site.urls",
    "turtle_site.asgi",
    "fleet.control.loop",
    "fleet.control.guard",
    "celery.beat",
    "django_celery_beat.schedulers",
    "probes.agent.agent",
    "flower.command",
)


class Command(BaseCommand):
    """Run the control plane."""

    help = (
        "Run the control plane: web, control loop, beat, the agent of its box and Flower. "
        "Ends on SIGTERM or Ctrl-C."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address of the web server")
        parser.add_argument("--port", type=int, default=8000, help="port of the web server")
        parser.add_argument(
            "--only",
            choices=PARTS,
            action="append",
            help="run only this part (may be given more than once)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        children: dict[str, Callable[[], None]] = {
            "web": partial(run_web, options["host"], options["port"]),
            "loop": run_loop,
            "agent": run_agent,
            "flower": run_flower,
        }
        wanted = options["only"] or PARTS
        for name in PRELOAD:
            importlib.import_module(name)
        pids_file = settings().state_dir / "control.pids.json"
        sys.exit(Supervisor({n: children[n] for n in wanted}, pids_file).run())
