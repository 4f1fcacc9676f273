"""When each Sentinel says that another Redis leads."""

import threading
import time
from dataclasses import dataclass, field

import redis

from deploy.lab.brokers import Brokers

CHANNEL = "+switch-master"
LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Switch:
    """A Sentinel's word; the moment is when it arrived here, well within a millisecond."""

    heard_at: str
    monotonic_s: float
    utc_s: float


@dataclass
class Switches:
    """Listens at every Sentinel, on the operator's way, which no fault touches."""

    brokers: Brokers
    heard: list[Switch] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> "Switches":
        for site in self.brokers.topology.names:
            thread = threading.Thread(target=self._listen, args=(site,), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def first_after(self, since_s: float, *, but: str = "") -> Switch | None:
        """The first word since then; not that of the Sentinel `but`, which is cut off."""
        found = [s for s in tuple(self.heard) if s.monotonic_s >= since_s and s.heard_at != but]
        return min(found, key=lambda s: s.monotonic_s, default=None)

    def _listen(self, site: str) -> None:
        while not self._ended.is_set():
            try:
                with self.brokers.sentinel_client(site) as client, client.pubsub() as words:
                    words.subscribe(CHANNEL)
                    self._hear(site, words)
            except redis.RedisError:
                self._ended.wait(LOOK_S)

    def _hear(self, site: str, words: "redis.client.PubSub") -> None:
        while not self._ended.is_set():
            word = words.get_message(timeout=LOOK_S)
            if word and word["type"] == "message":
                self.heard.append(Switch(site, time.monotonic(), time.time()))
