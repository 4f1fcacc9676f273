"""The events of a busy worker, gathered: one message to the broker carries many of them.

Celery sends them at every turn of its loop, which is about twice a task, and that was the dearest
thing a worker's main process did. They are for Flower only; the ledger does not read them.
"""

from typing import Any

from celery import bootsteps

#: An event leaves at most this much later; with two dozen waiting they leave at once.
GATHER_S = 0.1


class GatherEvents(bootsteps.StartStopStep):  # type: ignore[misc]
    """Started anew with every connection to the broker, after Celery's own step for events."""

    requires = ("celery.worker.consumer.events:Events",)

    def start(self, parent: Any) -> None:
        if parent.hub is not None and parent.event_dispatcher is not None:
            parent.event_dispatcher.on_send_buffered = _Gathering(parent)

    def shutdown(self, parent: Any) -> None:
        """The last events of a worker that stops; its connection is closed after this step."""
        if parent.event_dispatcher is not None:
            parent.event_dispatcher.flush()


class _Gathering:
    """Called for every event that waits; the first one starts the clock."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._clock_runs = False

    def __call__(self) -> None:
        if not self._clock_runs:
            self._clock_runs = True
            self._consumer.hub.call_later(GATHER_S, self._send)

    def _send(self) -> None:
        self._clock_runs = False
        if self._consumer.event_dispatcher is not None:
            self._consumer.event_dispatcher.flush()
