"""A loop of the agent: does its step again and again until told to stop."""

import logging
import threading
from collections.abc import Callable

from fleet.policy.errors import FleetError

log = logging.getLogger(__name__)
#: A step that fails is tried again after this long, doubled up to the last.
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0


class Loop(threading.Thread):
    """Calls `step`, which waits by itself, until `stop` is set.

    An error ends the step, not the loop: it is logged once for as long as it stays the same,
    and the step is tried again.
    """

    def __init__(self, name: str, step: Callable[[], None], stop: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self._step = step
        self._stopping = stop
        self._pause_s = FIRST_PAUSE_S
        self._last_error = ""

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._step()
                self._recovered()
            except FleetError as error:
                self._failed(str(error))
            except Exception:  # the boundary of the loop: say what it was, go on
                log.exception("%s: unexpected error; trying again", self.name)
                self._stopping.wait(self._pause_s)

    def _recovered(self) -> None:
        if self._last_error:
            log.info("%s: works again", self.name)
        self._last_error, self._pause_s = "", FIRST_PAUSE_S

    def _failed(self, error: str) -> None:
        if error != self._last_error:
            log.warning("%s: %s; trying again", self.name, error)
        self._last_error = error
        self._stopping.wait(self._pause_s)
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
