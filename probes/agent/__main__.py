"""`python -m probes.agent`: start the agent of this box; ends on SIGTERM or Ctrl-C."""

import logging
import signal
import sys
import threading

from fleet.policy.errors import ConfigurationError
from probes.agent.agent import Agent
from tasks.settings import ControlSettings, FleetSettings, config_path, load_settings
from tasks.settings_mistakes import table_example


def main() -> int:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for noisy in ("httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        Agent(_settings(), stop).run()
    except ConfigurationError as error:
        logging.getLogger("probes.agent").critical("%s", error)
        return 78  # EX_CONFIG of sysexits.h
    return 0


def _settings() -> FleetSettings:
    """Raises ConfigurationError also without [control]: the agent is there to report."""
    found = load_settings()
    if found.control is None:
        example = table_example("control", ControlSettings)
        raise ConfigurationError(
            f"configuration of {config_path()}:\n"
            f"  control: the agent reports to it, and the table is missing; for example: {example}"
        )
    return found


if __name__ == "__main__":
    sys.exit(main())
