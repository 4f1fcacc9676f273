"""A worker's events never make it wait for the broker: they are for Flower only.

Celery publishes its heartbeat with retries, and everything that waited one by one, from the loop
that also takes tasks and notices lost connections. With a master that is cut off, the loop stood
still for seconds after the switch.
"""

import time
from typing import Any

from celery.app.events import Events
from celery.events.dispatcher import EventDispatcher

#: After a failure events are kept for this long before the next try.
KEEP_S = 1.0


class QuickDispatcher(EventDispatcher):  # type: ignore[misc]
    """Tries once; then keeps what comes."""

    _again_s = float("-inf")

    def _publish(
        self, event: Any, producer: Any, routing_key: str, *_: object, **__: object
    ) -> None:
        kept = len(self._outbound_buffer)
        if time.monotonic() < self._again_s:
            self._outbound_buffer.append((event, routing_key))
            return
        super()._publish(event, producer, routing_key)
        if len(self._outbound_buffer) > kept:
            self._again_s = time.monotonic() + KEEP_S


class FleetEvents(Events):  # type: ignore[misc]
    """Makes Celery use this dispatcher."""

    dispatcher_cls = "tasks.events:QuickDispatcher"
