"""`python -m deploy.lab.simulators.fly`: serve one app with one machine until TERM or Ctrl-C."""

import argparse
import signal
import sys
from pathlib import Path
from threading import Event

from deploy.lab.simulators.fly.api import MachinesApi
from deploy.lab.simulators.fly.faults import FlyFaults
from deploy.lab.simulators.fly.machine import Machine, MachineShape, machine_environment
from deploy.lab.simulators.fly.server import MachinesServer, serving
from tasks.settings import read_secret


def main() -> int:
    arguments = _parser().parse_args()
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    faults = FlyFaults()
    machine = Machine(_shape(arguments), faults)
    api = MachinesApi(machine, read_secret(arguments.token_file), faults)
    with serving(MachinesServer(arguments.host, arguments.port, api)) as server:
        sys.stdout.write(f"fly Machines simulator ready at {server.url}\n")
        sys.stdout.flush()
        stop.wait()
    return 0


def _shape(arguments: argparse.Namespace) -> MachineShape:
    return MachineShape(
        id=arguments.machine_id,
        app=arguments.app,
        name=arguments.name,
        region=arguments.region,
        folder=arguments.folder,
        command=tuple(arguments.command),
        cwd=Path.cwd(),
        env=machine_environment(arguments.config),
        boot_s=arguments.boot_s,
        resume_s=arguments.resume_s,
        kill_after_s=arguments.kill_after_s,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="fly Machines for the lab: one app, one machine.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--token-file", type=Path, required=True, help="a file of mode 600")
    parser.add_argument("--folder", type=Path, required=True, help="where machines are kept")
    parser.add_argument("--config", type=Path, help="TURTLE_CONFIG of what runs in the machine")
    parser.add_argument("--app", default="turtle-standby")
    parser.add_argument("--machine-id", default="5714790ef5a1d8")
    parser.add_argument("--name", default="standby-1")
    parser.add_argument("--region", default="lab")
    parser.add_argument("--boot-s", type=float, default=1.0, help="a cold start, seconds")
    parser.add_argument("--resume-s", type=float, default=0.3, help="a resume, seconds")
    parser.add_argument(
        "--kill-after-s", type=float, default=15.0, help="from TERM to KILL, seconds"
    )
    parser.add_argument("command", nargs="+", help="what runs in the machine; write -- before it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
