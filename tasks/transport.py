"""kombu's Sentinel transport, with the holes closed through which a taken task can fall.

1. redis-py redials the address that it knew when a closed socket is used again, so that a
   connection can go on speaking to a master that has been replaced (redis-py #3874). Here every
   reconnect asks the Sentinels.
2. kombu takes a message on one connection and records it as unacknowledged on another. When the
   second one still points at the old master, the message is in nobody's hands. Here the record
   is tried again on fresh connections, and the task runs even where that fails.
3. kombu gives taken messages back while it closes a lost connection, and ends the worker when
   that has no transport any more. Here that is left to the reconciler.
4. A new master may refuse writes until a replica follows it, and Celery starts its consumer anew
   at each refusal. Here a connection counts once its master takes writes.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from celery.app.amqp import AMQP
from kombu.connection import Connection
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.redis import QoS, SentinelChannel, SentinelTransport
from kombu.transport.virtual import QoS as PlainQoS
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection

from tasks.switches import WATCH

log = logging.getLogger(__name__)
#: Seconds between two looks for a master: short at first, longer when it stays away.
RETRY = {"interval_start": 0.2, "interval_step": 0.01, "interval_max": 2.0}
#: Nothing lies under this key: to delete it is a write that changes nothing.
PROBE_KEY = "_kombu.probe"


class _Redial:
    """Ask the Sentinels again instead of redialling a cached address; end at a switch."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        WATCH.add(self)

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


#: Hears of a message that is none: its queue, and what is wrong with it.
Refuser = Callable[[str, str], None]


def _only_logged(queue: str, detail: str) -> None:
    log.error("a message in %s is none of ours and was dropped: %s", queue, detail)


_gate: Gate = _Open()
_refuse: Refuser = _only_logged
_sentinel_login: dict[str, Any] = {}


def use_sentinel_login(options: dict[str, Any]) -> None:
    """How to speak to the Sentinels: user, password, time limits.

    Not a transport option: Celery sends those to anybody who asks a worker for its statistics.
    """
    _sentinel_login.update(options)


def use_refuser(refuser: Refuser) -> None:
    """Tell `refuser` of every message that cannot be read."""
    global _refuse
    _refuse = refuser


def use_gate(gate: Gate) -> None:
    """Ask `gate` before every message that this process takes."""
    global _gate
    _gate = gate


class RecordingQoS(QoS):
    """Records a taken message on whichever master answers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._owed: set[str] = set()

    def can_consume(self) -> bool:
        return _gate.may_take() and bool(super().can_consume())  # type: ignore[no-untyped-call]

    def append(self, message: Any, delivery_tag: str) -> None:
        """Record; where no master takes it, go on without: the message is in this worker's hands.

        The journal claims the task, and the reconciler does not rely on the record.
        """
        try:
            super().append(message, delivery_tag)  # type: ignore[no-untyped-call]
        except self.channel.connection_errors:
            self.channel.pool.disconnect()
            self._append_again(message, delivery_tag)

    def _append_again(self, message: Any, delivery_tag: str) -> None:
        try:
            super().append(message, delivery_tag)  # type: ignore[no-untyped-call]
        except (*self.channel.connection_errors, ResponseError) as error:
            log.warning("a taken message is not recorded at the broker: %s", error)
            PlainQoS.append(self, message, delivery_tag)  # type: ignore[no-untyped-call]

    def ack(self, delivery_tag: str) -> None:
        """Take the record away, at the latest with the next one.

        The worker may take another message in any case: kombu would count this one for ever.
        """
        self._owed.add(delivery_tag)
        try:
            self._pay()
        except (*self.channel.connection_errors, ResponseError) as error:
            log.warning("%d acknowledgements wait for a broker: %s", len(self._owed), error)
            if self.channel.connection is not None:
                self.channel.pool.disconnect()
        finally:
            PlainQoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]

    def _pay(self) -> None:
        """Over a closed channel nobody can be told; the message comes back, and is known then."""
        if self.channel.connection is None:
            return
        with self.pipe_or_acquire() as pipe:
            tags = tuple(self._owed)
            pipe.zrem(self.unacked_index_key, *tags).hdel(self.unacked_key, *tags).execute()
        self._owed.clear()

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if requeue and self.channel.connection is not None:
            super().reject(delivery_tag, requeue)  # type: ignore[no-untyped-call]
        else:
            self.ack(delivery_tag)

    def restore_unacked_once(self, stderr: Any = None) -> None:
        transport = self.channel.connection
        if transport is None or transport.client is None:
            self._delivered.clear()
        try:
            super().restore_unacked_once(stderr)  # type: ignore[no-untyped-call]
        except self.channel.connection_errors as error:
            log.warning("taken messages were not given back to the broker: %s", error)


class _GatedCycle:
    """kombu's order of queues, less those that the gate holds back."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.last_taken = ""

    def rotate(self, last_used: str) -> None:
        """kombu calls this with the queue of each message that it has taken."""
        self.last_taken = last_used
        self._inner.rotate(last_used)

    def consume(self, n: int) -> list[str]:
        return _gate.queues(self._inner.consume(n))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class FleetChannel(SentinelChannel):
    """The channel of this transport."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._queue_cycle = _GatedCycle(self._queue_cycle)

    def _sentinel_managed_pool(self, asynchronous: bool = False) -> Any:
        if getattr(self, "sentinel_kwargs", None) is None:
            self.sentinel_kwargs = dict(_sentinel_login)
        pool = super()._sentinel_managed_pool(asynchronous)  # type: ignore[no-untyped-call]
        WATCH.teach(pool.sentinel_manager)
        return pool

    def _brpop_read(self, **options: Any) -> Any:
        """Whoever may add to a queue may add rubbish: it must not end the worker."""
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except self.connection_errors as error:
            # kombu counts KeyError among them, for its own bookkeeping of sockets.
            if not isinstance(error, KeyError):
                raise
            return self._rubbish(error)
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            return self._rubbish(error)

    def _rubbish(self, error: Exception) -> bool:
        queue = str(self._queue_cycle.last_taken or "?")
        log.debug("unreadable message", exc_info=error)
        _refuse(queue, f"{type(error).__name__}: {error}")
        return True

    QoS = RecordingQoS
    connection_class = RedialingConnection
    connection_class_ssl = RedialingSSLConnection  # type: ignore[assignment]
    #: kombu makes a new client for every command; this one serves for as long as its pool does.
    _shared: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:  # this one holds a connection of its own
            return super()._create_client(asynchronous=True)  # type: ignore[no-untyped-call]
        if self._shared is None or self._shared.connection_pool is not self.pool:
            self._shared = super()._create_client()  # type: ignore[no-untyped-call]
        return self._shared


class FleetTransport(SentinelTransport):
    """Used for every `sentinel://` URL of this process."""

    Channel = FleetChannel

    def establish_connection(self) -> Any:
        """Raises a connection error while the master takes no writes."""
        connection = super().establish_connection()  # type: ignore[no-untyped-call]
        try:
            self._avail_channels[-1].client.delete(PROBE_KEY)
        except ResponseError as error:
            self.close_connection(connection)  # type: ignore[no-untyped-call]
            raise RedisConnectionError(str(error)) from error
        return connection


class FleetConnection(Connection):
    """Looks for a master at short intervals: Celery's would grow to half a minute."""

    def completes_cycle(self, retries: int) -> bool:
        """Each try asks all Sentinels, whichever part of the URL it began with."""
        return True

    def _ensure_connection(self, *args: Any, **options: Any) -> Any:
        if len(args) <= 2:  # errback and max_retries, but no intervals
            options = {**RETRY, **options}
        return super()._ensure_connection(*args, **options)  # type: ignore[no-untyped-call]


class FleetAMQP(AMQP):  # type: ignore[misc]
    """Makes Celery use these connections."""

    Connection = FleetConnection
    BrokerConnection = FleetConnection


def install_transport() -> None:
    """Make `sentinel://` mean this transport: kombu takes the transport from the URL only."""
    TRANSPORT_ALIASES["sentinel"] = "tasks.transport:FleetTransport"
