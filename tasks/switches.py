"""Acts at once when a Sentinel says that another Redis leads.

A frozen master's connections stay open and silent: the kernel's keepalive is answered by the
kernel. Without this a process waits for its socket timeout, several times in a row. And each new
client asks all Sentinels anew, also one that is cut off, before it comes to the one that knows.
"""

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

import redis

log = logging.getLogger(__name__)
CHANNEL = "+switch-master"
LOOK_S = 5.0
AGAIN_AFTER_S = 1.0
#: The Sentinels hear of a switch from each other within about this time.
BELIEVED_S = 3.0
Address = tuple[str, int]


class SwitchWatch:
    """The connections of this process, and a listener at each Sentinel."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: WeakSet[Any] = WeakSet()
        self._watched: set[tuple[int, str, str, int]] = set()
        self._heard: dict[str, tuple[Address, float]] = {}

    def add(self, connection: Any) -> None:
        """Remember a connection that Sentinels manage, and listen at those Sentinels."""
        proxy = connection.connection_pool
        with self._lock:
            self._connections.add(connection)
        for sentinel in proxy.sentinel_manager.sentinels:
            self._listen_at(dict(sentinel.connection_pool.connection_kwargs), proxy.service_name)

    def teach(self, manager: Any) -> None:
        """Make redis-py's client of the Sentinels believe what was just heard from one of them."""
        ask: Callable[[str], Address] = manager.discover_master
        manager.discover_master = lambda service: self._lately(service) or ask(service)

    def _lately(self, service: str) -> Address | None:
        master, at_s = self._heard.get(service, (None, 0.0))
        return master if master and time.monotonic() - at_s < BELIEVED_S else None

    def _listen_at(self, options: dict[str, Any], service: str) -> None:
        """Once for each process: a forked child has none of its parent's threads."""
        key = (os.getpid(), service, str(options["host"]), int(options["port"]))
        with self._lock:
            if key in self._watched:
                return
            self._watched.add(key)
        threading.Thread(
            target=self._listen, args=(options, service), name="switch-watch", daemon=True
        ).start()

    def _listen(self, options: dict[str, Any], service: str) -> None:
        again = threading.Event()
        while True:
            with contextlib.suppress(redis.RedisError, OSError):
                pool = redis.ConnectionPool(**options)
                with redis.Redis.from_pool(pool) as client, client.pubsub() as words:
                    words.subscribe(CHANNEL)
                    self._hear(words, service)
            again.wait(AGAIN_AFTER_S)

    def _hear(self, words: Any, service: str) -> None:
        while True:
            word = words.get_message(timeout=LOOK_S)
            if word is None:
                words.ping()
            elif word["type"] == "message":
                name, _, _, host, port = _text(word["data"]).split()
                if name == service:
                    self.learn(service, (host, int(port)))

    def learn(self, service: str, master: Address) -> None:
        """Another Redis leads from now on."""
        self._heard[service] = (master, time.monotonic())
        self.drop_all_but(master)

    def drop_all_but(self, master: Address) -> None:
        """Wake whoever waits on a connection to another address: it reads the end of file."""
        with self._lock:
            found = list(self._connections)
        stale = [c for c in found if c.pid == os.getpid() and (c.host, int(c.port)) != master]
        for connection in stale:
            if connection._sock is not None:
                with contextlib.suppress(OSError):
                    # Not the TLS layer's own: that is not safe from another thread.
                    socket.socket.shutdown(connection._sock, socket.SHUT_RDWR)


def _text(data: Any) -> str:
    return data.decode() if isinstance(data, bytes) else str(data)


WATCH = SwitchWatch()
