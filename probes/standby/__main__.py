"""`python -m probes.standby`: the standby machine's agent and worker; ends on SIGTERM.

Arguments that it does not know go to the worker, for example `--concurrency 4`.
"""

import argparse
import logging
import signal
import sys

from fleet.policy.errors import ConfigurationError
from probes.standby.family import Family
from tasks.settings import FleetSettings, load_settings

#: From TERM to KILL for each of the two; the machine gets 120 s for both (`deploy.render.fly`).
WITHIN_S = 40.0


def main() -> int:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    options, for_the_worker = _parser().parse_known_args()
    try:
        settings = _standby_settings()
    except ConfigurationError as error:
        logging.getLogger("probes.standby").critical("%s", error)
        return 78  # EX_CONFIG of sysexits.h
    family = Family(
        commands(settings, for_the_worker),
        settings.state_dir / "standby.pids.json",
        within_s=options.within_s,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: family.stop())
    return family.run()


def commands(settings: FleetSettings, for_the_worker: list[str]) -> dict[str, tuple[str, ...]]:
    """The agent first: it ends last, and reports what the worker did until then.

    The worker runs without mingle and gossip: they add seconds to each reconnect and no safety.
    """
    node = f"{settings.box}@{settings.site}"
    worker = ("-A", "tasks", "worker", "-l", "INFO", "-n", node)
    return {
        "agent": (sys.executable, "-m", "probes.agent"),
        "worker": (
            *(sys.executable, "-m", "celery", *worker),
            *("--without-mingle", "--without-gossip", *for_the_worker),
        ),
    }


def _standby_settings() -> FleetSettings:
    settings = load_settings()
    if not settings.standby:
        raise ConfigurationError(
            "this box is not the standby; write for example\n"
            "  standby = true\ninto its turtle.toml, or start probes.agent and a worker instead"
        )
    return settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--within-s", type=float, default=WITHIN_S, help="seconds that each process gets to end"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
