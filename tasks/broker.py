"""How every process reaches the broker: through the Sentinels, the own site's first.

The figures behind these options were measured with a frozen master and a frozen Sentinel; a
client without them waits for a dead socket for minutes or for ever.
"""

import socket
from typing import Any
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from tasks.settings import BrokerSettings
from tasks.switches import WATCH
from tasks.transport import RedialingConnection

#: Longest expected run of one task; the ledger's leases, not Redis, notice a lost worker.
VISIBILITY_TIMEOUT_S = 24 * 3600
SOCKET_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 0.5
SENTINEL_TIMEOUT_S = 0.5


def keepalive_options() -> dict[int, int]:
    """Kernel keepalive that notices a silent peer within 3 s, where the kernel has the options."""
    wanted = {
        "TCP_KEEPIDLE": 1,
        "TCP_KEEPINTVL": 1,
        "TCP_KEEPCNT": 2,
        "TCP_USER_TIMEOUT": 2500,
    }
    return {getattr(socket, name): n for name, n in wanted.items() if hasattr(socket, name)}


def sentinel_kwargs(broker: BrokerSettings) -> dict[str, Any]:
    """Options of the connections to Sentinels: one short try each, then the next Sentinel."""
    return {
        "username": broker.sentinel_username,
        "password": broker.sentinel_password(),
        "socket_timeout": SENTINEL_TIMEOUT_S,
        "socket_connect_timeout": SENTINEL_TIMEOUT_S,
        "socket_keepalive": True,
        "socket_keepalive_options": keepalive_options(),
        "retry": Retry(NoBackoff(), 0),
    }


def broker_urls(broker: BrokerSettings) -> str:
    """Celery's broker URL, one part a Sentinel; the only text that carries the credentials."""
    user, password = quote(broker.username, safe=""), quote(broker.password(), safe="")
    return ";".join(f"sentinel://{user}:{password}@{address}/0" for address in broker.sentinels)


def transport_options(broker: BrokerSettings) -> dict[str, Any]:
    """kombu's transport options, the same for workers, relay, beat and Flower."""
    return {
        "master_name": broker.master_name,
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_keepalive": True,
        "socket_keepalive_options": keepalive_options(),
        "health_check_interval": 5,
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "priority_steps": [0],
    }


def sentinel_client(broker: BrokerSettings) -> Sentinel:
    """A client of the Sentinels for the fleet's own questions (depths, roles)."""
    addresses = []
    for address in broker.sentinels:
        host, _, port = address.rpartition(":")
        addresses.append((host, int(port)))
    manager = Sentinel(  # type: ignore[no-untyped-call]
        addresses, sentinel_kwargs=sentinel_kwargs(broker)
    )
    WATCH.teach(manager)
    return manager


def master_client(broker: BrokerSettings) -> redis.Redis:
    """A client of whichever Redis is master; it asks the Sentinels at every reconnect."""
    master: redis.Redis = sentinel_client(broker).master_for(  # type: ignore[no-untyped-call]
        broker.master_name,
        connection_class=RedialingConnection,
        username=broker.username,
        password=broker.password(),
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_keepalive=True,
        socket_keepalive_options=keepalive_options(),
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )
    return master
