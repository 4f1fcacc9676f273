# mypy: disable-error-code="no-untyped-call,attr-defined,func-returns-value,unused-ignore"
"""What the fleet's transport adds to kombu's, each shown beside what kombu does alone."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from kombu.exceptions import OperationalError
from kombu.transport.redis import QoS
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.sentinel import Sentinel, SentinelManagedConnection

from deploy.lab.brokers import Brokers
from deploy.lab.files import read_stripped
from deploy.render import acl
from tasks.events import QuickDispatcher
from tasks.switches import SwitchWatch
from tasks.transport import FleetConnection, RecordingQoS, RedialingConnection
from tests.lab.support import sentinel_url, transport_options

pytestmark = pytest.mark.integration
TRANSPORT = "tasks.transport:FleetTransport"


@pytest.fixture
def connection(brokers: Brokers) -> Iterator[FleetConnection]:
    url = sentinel_url(brokers, "dc1", acl.CONTROL)
    options = transport_options(brokers)
    with closing(FleetConnection(url, transport=TRANSPORT, transport_options=options)) as made:
        yield made


@pytest.fixture
def channel(connection: FleetConnection) -> Iterator[Any]:
    made = connection.default_channel
    yield made
    made.qos._delivered.clear()
    made._create_client().delete(made.unacked_key, made.unacked_index_key)


def message(tag: str = "tag") -> Any:
    return SimpleNamespace(
        delivery_info={"exchange": "", "routing_key": "dev"}, delivery_tag=tag, _raw={"body": tag}
    )


@contextmanager
def silenced(channel: Any) -> Iterator[None]:
    """As a socket is whose other end is frozen: open, and no answer ever comes."""
    channel._create_client().ping()
    mine, other = socket.socketpair()
    mine.settimeout(0.2)
    (one,) = channel.pool._available_connections
    one._sock.close()
    one._sock = one._parser._sock = mine
    with mine, other:
        yield


def stock(kind: type[QoS], channel: Any) -> QoS:
    """For one message at a time; without the clean-up that it would do when the tests end."""
    made = kind(channel, 1)  # type: ignore[no-untyped-call]
    made._on_collect.cancel()
    return made


def no_master(*_: object, **__: object) -> None:
    raise RedisConnectionError("no master")


# Redialling


@pytest.mark.parametrize(
    ("kind", "role"), [(SentinelManagedConnection, "slave"), (RedialingConnection, "master")]
)
def test_a_closed_connection_asks_the_sentinels_again(
    brokers: Brokers, kind: type, role: str
) -> None:
    """Alone, redis-py goes on with the address of the master that was replaced."""
    sentinels = [tuple(a.split(":")) for a in brokers.sentinel_addresses("dc1")]
    client = Sentinel(
        sentinels, sentinel_kwargs=transport_options(brokers)["sentinel_kwargs"]
    ).master_for(
        brokers.master_name,
        connection_class=kind,
        username=acl.CONTROL,
        password=read_stripped(brokers.password_file(acl.CONTROL)),
        decode_responses=True,
    )
    leads = brokers.master()
    replica = next(site for site in ("dc1", "dc2") if site != leads)
    one = client.connection_pool.get_connection()
    one.disconnect()
    one.host, one.port = brokers.redis_address(replica).host, brokers.redis_address(replica).port
    one.send_command("ROLE")
    assert one.read_response()[0] == role
    client.close()


# The record of a taken message


def test_kombu_alone_drops_a_taken_message_when_its_other_connection_is_dead(channel: Any) -> None:
    qos = stock(QoS, channel)
    with silenced(channel), pytest.raises(RedisTimeoutError):
        qos.append(message(), "tag")
    assert channel._create_client().hlen(channel.unacked_key) == 0


def test_a_taken_message_is_recorded_on_a_fresh_connection(channel: Any) -> None:
    with silenced(channel):
        channel.qos.append(message(), "tag")
    assert channel._create_client().hlen(channel.unacked_key) == 1
    assert "tag" in channel.qos._delivered


def test_a_taken_message_is_kept_where_no_master_records_it(
    channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QoS, "append", no_master)
    channel.qos.append(message(), "tag")
    assert "tag" in channel.qos._delivered


# Acknowledging


@pytest.mark.parametrize(("kind", "takes_more"), [(QoS, False), (RecordingQoS, True)])
def test_a_lost_acknowledgement_does_not_cost_a_slot_for_ever(
    channel: Any, monkeypatch: pytest.MonkeyPatch, kind: type[QoS], takes_more: bool
) -> None:
    """Alone, kombu counts it as under way; after as many as it has slots, the worker idles."""
    qos = stock(kind, channel)
    qos.append(message(), "tag")
    assert not qos.can_consume()
    with monkeypatch.context() as patch:
        patch.setattr(channel, "conn_or_acquire", no_master)
        ack_and_go_on(qos)
    assert bool(qos.can_consume()) is takes_more
    qos._delivered.clear()


def ack_and_go_on(qos: QoS) -> None:
    """As Celery does: it logs connection errors."""
    try:
        qos.ack("tag")
    except RedisConnectionError:
        return


def test_a_lost_acknowledgement_is_made_up_for_with_the_next_one(
    channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    qos = channel.qos
    qos.append(message("first"), "first")
    qos.append(message("second"), "second")
    with monkeypatch.context() as patch:
        patch.setattr(channel, "conn_or_acquire", no_master)
        qos.ack("first")
    assert channel._create_client().hlen(channel.unacked_key) == 2
    qos.ack("second")
    assert channel._create_client().hlen(channel.unacked_key) == 0


@pytest.mark.parametrize(("kind", "ends"), [(QoS, True), (RecordingQoS, False)])
def test_closing_a_connection_that_was_lost_does_not_end_the_worker(
    connection: FleetConnection, kind: type[QoS], ends: bool
) -> None:
    """Celery lets a worker end that gets anything but a connection error here."""
    qos = stock(kind, connection.default_channel)
    qos.append(message(), "tag")
    transport, qos.channel._pool = connection.transport, None
    client, transport.client = transport.client, None
    try:
        assert raises(AttributeError, qos.restore_unacked_once) is ends
    finally:
        transport.client = client
        qos._delivered.clear()


def raises(kind: type[Exception], call: Callable[[], object]) -> bool:
    try:
        call()
    except kind:
        return True
    return False


# A master that takes no writes


def test_a_master_without_replicas_is_no_connection_yet(
    connection: FleetConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise Celery starts its consumer anew at each refusal, and then pauses for a second."""

    def refuse(*_: object) -> None:
        raise ResponseError("NOREPLICAS Not enough good replicas to write.")

    monkeypatch.setattr("redis.Redis.delete", refuse)
    with pytest.raises(OperationalError, match="NOREPLICAS"):
        connection.ensure_connection(max_retries=1)


# A Sentinel's word


class Connected:
    """What is asked of a connection, to an address of which there is no other."""

    pid, host, port = os.getpid(), "127.0.0.1", 1

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock


def test_whoever_waits_on_a_replaced_master_wakes_at_once() -> None:
    mine, other = socket.socketpair()
    watch, woken = SwitchWatch(), threading.Event()
    old = Connected(mine)
    watch._connections.add(old)
    waiting = threading.Thread(target=lambda: (mine.recv(1), woken.set()), daemon=True)
    waiting.start()
    watch.drop_all_but(("127.0.0.1", 1))
    assert not woken.wait(0.2), "the present master's connection was dropped"
    watch.drop_all_but(("127.0.0.1", 2))
    assert woken.wait(5.0)
    waiting.join()
    mine.close()
    other.close()


def test_a_sentinels_word_is_believed_before_its_slower_neighbours(
    brokers: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = SwitchWatch()
    manager = SimpleNamespace(discover_master=lambda service: ("old", 1))
    watch.teach(manager)
    assert manager.discover_master("turtle") == ("old", 1)
    watch.learn("turtle", ("new", 2))
    assert manager.discover_master("turtle") == ("new", 2)
    assert manager.discover_master("another") == ("old", 1)
    monkeypatch.setattr("tasks.switches.BELIEVED_S", 0.0)
    assert manager.discover_master("turtle") == ("old", 1)


# Events


def test_events_try_once_and_then_wait() -> None:
    tries: list[dict[str, Any]] = []

    class Away:
        def publish(self, event: object, **options: Any) -> None:
            tries.append(options)
            raise RedisConnectionError("no master")

    dispatcher = QuickDispatcher(None, "worker@dc1", enabled=False, app=app())
    for _ in range(5):
        dispatcher._publish({}, Away(), "worker.heartbeat", retry=True)
    assert [one["retry"] for one in tries] == [False]
    assert len(dispatcher._outbound_buffer) == 5


def app() -> Any:
    from celery import Celery

    return Celery("test", set_as_current=False)
