"""kombu's Sentinel transport, with the two holes closed through which a taken task can fall.

1. redis-py redials the address that it knew when a closed socket is used again, so that a
   connection can go on speaking to a master that has been replaced (redis-py #3874). Here every
   reconnect asks the Sentinels.
2. kombu takes a message on one connection and records it as unacknowledged on another. When the
   second one still points at the old master, the message is in nobody's hands. Here the record
   is tried again on fresh connections.
"""

from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.redis import QoS, SentinelChannel, SentinelTransport
from redis.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection

#: Tries of recording a taken message; each costs at most the socket timeout.
RECORD_TRIES = 6


class _Redial:
    """Ask the Sentinels again instead of redialling a cached address."""

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if not self._sock:  # type: ignore[attr-defined]
            self.connect()  # type: ignore[attr-defined]
        super().send_packed_command(command, check_health=check_health)  # type: ignore[misc]


class RedialingConnection(_Redial, SentinelManagedConnection):
    """A plain connection that never redials a replaced master."""


class RedialingSSLConnection(_Redial, SentinelManagedSSLConnection):
    """The same over TLS."""


class RecordingQoS(QoS):
    """Records a taken message on whichever master answers."""

    def append(self, message: Any, delivery_tag: str) -> None:
        for attempt in range(1, RECORD_TRIES + 1):
            try:
                super().append(message, delivery_tag)  # type: ignore[no-untyped-call]
            except self.channel.connection_errors:
                if attempt == RECORD_TRIES:
                    raise
                self.channel.pool.disconnect()
            else:
                return


class FleetChannel(SentinelChannel):
    QoS = RecordingQoS
    connection_class = RedialingConnection
    connection_class_ssl = RedialingSSLConnection  # type: ignore[assignment]


class FleetTransport(SentinelTransport):
    """Used for every `sentinel://` URL of this process."""

    Channel = FleetChannel


def install_transport() -> None:
    """Make `sentinel://` mean this transport: kombu takes the transport from the URL only."""
    TRANSPORT_ALIASES["sentinel"] = "tasks.transport:FleetTransport"
