"""This box: its settings and its journal, opened once a process."""

import logging
from functools import lru_cache

from tasks.journal import Claims, Entries, JournalDatabase, Workers
from tasks.settings import FleetSettings, settings
from tasks.wake import agent_bell, ring

log = logging.getLogger(__name__)


class Box:
    """Settings, journal and the bell of the agent."""

    def __init__(self, box_settings: FleetSettings) -> None:
        self.settings = box_settings
        self.database = JournalDatabase(box_settings.state_dir)
        self.claims = Claims(self.database)
        self.entries = Entries(self.database)
        self.workers = Workers(self.database)

    def ring_agent(self) -> None:
        """Tell the agent that the journal has something new."""
        ring(agent_bell(self.settings.state_dir))

    def report_trouble(self, text: str) -> None:
        """Say in the log that the journal cannot be written; the agent finds out by itself."""
        log.error("%s", text)


@lru_cache(maxsize=1)
def own_box() -> Box:
    """The box of this process."""
    return Box(settings())
