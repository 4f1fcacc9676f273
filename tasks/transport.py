"""kombu's Sentinel transport, with the two holes closed through which a taken task can fall.

1. redis-py redials the address that it knew when a closed socket is used again, so that a
   connection can go on speaking to a master that has been replaced (redis-py #3874). Here every
   reconnect asks the Sentinels.
2. kombu takes a message on one connection and records it as unacknowledged on another. When the
   second one still points at the old master, the message is in nobody's hands. Here the record
   is tried again on fresh connections.
"""

from collections.abc import Sequence
from typing import Any, Protocol

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


class Gate(Protocol):
    """Says how much this worker may take; `tasks.intake.IntakeGate` is the one there is."""

    def may_take(self) -> bool: ...
    def queues(self, names: Sequence[str]) -> list[str]: ...


class _Open:
    """No gate: a producer, Flower, a worker before it has started."""

    def may_take(self) -> bool:
        return True

    def queues(self, names: Sequence[str]) -> list[str]:
        return list(names)


_gate: Gate = _Open()


def use_gate(gate: Gate) -> None:
    """Ask `gate` before every message that this process takes."""
    global _gate
    _gate = gate


class RecordingQoS(QoS):
    """Records a taken message on whichever master answers."""

    def can_consume(self) -> bool:
        return _gate.may_take() and bool(super().can_consume())  # type: ignore[no-untyped-call]

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


class _GatedCycle:
    """kombu's order of queues, less those that the gate holds back."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def consume(self, n: int) -> list[str]:
        return _gate.queues(self._inner.consume(n))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class FleetChannel(SentinelChannel):
    """The channel of this transport."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._queue_cycle = _GatedCycle(self._queue_cycle)

    QoS = RecordingQoS
    connection_class = RedialingConnection
    connection_class_ssl = RedialingSSLConnection  # type: ignore[assignment]


class FleetTransport(SentinelTransport):
    """Used for every `sentinel://` URL of this process."""

    Channel = FleetChannel


def install_transport() -> None:
    """Make `sentinel://` mean this transport: kombu takes the transport from the URL only."""
    TRANSPORT_ALIASES["sentinel"] = "tasks.transport:FleetTransport"
