"""`python -m probes.agent`: start the agent of this box; ends on SIGTERM or Ctrl-C."""

import logging
import signal
import sys
import threading

from fleet.policy.errors import ConfigurationError
from probes.agent.agent import Agent
from tasks.settings import load_settings


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
        agent = Agent(load_settings(), stop)
    except ConfigurationError as error:
        logging.getLogger("probes.agent").critical("%s", error)
        return 78  # EX_CONFIG of sysexits.h
    agent.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
