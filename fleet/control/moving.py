"""The planned move of the broker: pause, let a replica catch up, move, go on.

Needs a user of its own at Redis and at Sentinel, which only the control plane has.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from fleet.policy.switchover import FINISHED, Facts, Step, next_step
from tasks.settings import BrokerSettings, read_secret
from turtle_site.config import MoverSettings

log = logging.getLogger(__name__)
TIMEOUT_S = 1.0
LOOK_EVERY_S = 0.05
#: The master ends the pause by itself after this long, should this process end in between.
PAUSE_MS = 15_000
AGREEING_SENTINELS = 2
Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Moved:
    """How it ended. `paused_s`: for how long nobody could write to the broker."""

    moved: bool
    reason: str
    paused_s: float
    master: str


class BrokerMover:
    """`paused` is set while the relay must not publish."""

    def __init__(
        self,
        broker: BrokerSettings,
        mover: MoverSettings,
        paused: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._broker, self._mover, self._paused, self._clock = broker, mover, paused, clock
        self._wait = threading.Event()

    def move(self) -> Moved:
        """Away from the present master, to the replica that Sentinel prefers.

        Raises RedisError only when no Sentinel answers; then nothing was changed.
        """
        old = self._agreed_master()
        if old is None:
            return Moved(False, "the Sentinels do not agree on a master", 0.0, "")
        return _Move(self, old, self._clock()).run()

    def pause(self, master: Address) -> str:
        """Stop the relay, and every other writer at the master itself; returns what went wrong."""
        self._paused.set()
        try:
            self._redis(master).client_pause(PAUSE_MS, all=False)
        except RedisError as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def resume(self, old: Address) -> str:
        """Let everybody write again; a master that is gone by then needs no word."""
        try:
            self._redis(old).client_unpause()
        except RedisError as error:
            log.warning("the old master was not told to go on: %s", error)
        self._paused.clear()
        return ""

    def caught_up(self, master: Address) -> tuple[bool, str]:
        """Whether the replica that will lead has everything, and what went wrong.

        The replica itself is asked: the master hears of its offset only once a second.
        """
        replica = self._preferred()
        if replica is None:
            return False, ""
        try:
            written: Any = self._redis(master).info("replication")["master_repl_offset"]
        except RedisError as error:
            return False, f"{type(error).__name__}: {error}"
        try:
            return self._redis(replica).info("replication")["slave_repl_offset"] == written, ""
        except (RedisError, KeyError):
            # It may be frozen or resyncing; the time that it has is the policy's business.
            return False, ""

    def tell_sentinel(self) -> str:
        """Ask the Sentinels in turn; returns what went wrong with the last of them."""
        said = "no Sentinel is configured"
        for sentinel in self._sentinels(self._mover.sentinel_username, self._sentinel_secret()):
            try:
                sentinel.sentinel_failover(self._broker.master_name)
            except RedisError as error:
                said = f"{type(error).__name__}: {error}"
            else:
                return ""
        return said

    def new_master(self, old: Address) -> Address | None:
        """The master that most Sentinels name and that says so itself, once it is not the old."""
        found = self._agreed_master()
        if found is None or found == old:
            return None
        try:
            role = self._redis(found).info("replication")["role"]
        except RedisError:
            return None
        return found if role == "master" else None

    def _agreed_master(self) -> Address | None:
        views = [self._view(s) for s in self._asking()]
        for view in views:
            if view is not None and views.count(view) >= AGREEING_SENTINELS:
                return view
        return None

    def _view(self, sentinel: "redis.Redis") -> Address | None:
        try:
            found: Any = sentinel.sentinel_get_master_addr_by_name(self._broker.master_name)
        except RedisError:
            return None
        return (str(found[0]), int(found[1])) if found else None

    def _preferred(self) -> Address | None:
        """The replica that Sentinel will choose: the lowest priority above 0."""
        for sentinel in self._asking():
            try:
                found: Any = sentinel.sentinel_slaves(self._broker.master_name)
            except RedisError:
                continue
            able = [r for r in found if r["slave-priority"] > 0 and not r["is_sdown"]]
            best = min(able, key=lambda r: r["slave-priority"], default=None)
            return (best["ip"], best["port"]) if best else None
        return None

    def _asking(self) -> Sequence["redis.Redis"]:
        broker = self._broker
        return self._sentinels(broker.sentinel_username, broker.sentinel_password())

    def _sentinels(self, user: str, password: str) -> Sequence["redis.Redis"]:
        addresses = [address.rpartition(":") for address in self._broker.sentinels]
        return [_client((host, int(port)), user, password) for host, _, port in addresses]

    def _redis(self, address: Address) -> "redis.Redis":
        return _client(address, self._mover.username, read_secret(self._mover.password_file))

    def _sentinel_secret(self) -> str:
        return read_secret(self._mover.sentinel_password_file)

    def look_again(self) -> None:
        self._wait.wait(LOOK_EVERY_S)

    def now_s(self) -> float:
        return self._clock()


class _Move:
    """One move: the policy's steps, each with its deed."""

    def __init__(self, mover: BrokerMover, old: Address, started_s: float) -> None:
        self._mover, self._old = mover, old
        self._paused_s = self._told_s = started_s
        self._resumed_s: float | None = None
        self._new: Address | None = None

    def run(self) -> Moved:
        step, reason, last = Step.PAUSE_RELAY, "", ""
        while step not in FINISHED:
            after, reason = next_step(step, self._facts(step))
            if after is Step.ABORT and step is not Step.ABORT:
                last = reason
            if after is step:
                self._mover.look_again()
            else:
                log.info("planned move of the broker: %s: %s", after, reason)
            step = after
        paused_s = (self._resumed_s or self._mover.now_s()) - self._paused_s
        master = ":".join(map(str, self._new or self._old))
        return Moved(step is Step.DONE, last or reason, paused_s, master)

    def _facts(self, step: Step) -> Facts:
        return _DEEDS[step](self)

    def pause(self) -> Facts:
        self._paused_s = self._mover.now_s()
        failed = self._mover.pause(self._old)
        return Facts(done=not failed, failed=failed)

    def wait_offset(self) -> Facts:
        equal, failed = self._mover.caught_up(self._old)
        elapsed_s = self._mover.now_s() - self._paused_s
        return Facts(offset_equal=equal, failed=failed, elapsed_s=elapsed_s)

    def move(self) -> Facts:
        equal, failed = self._mover.caught_up(self._old)
        if failed or not equal:
            return Facts(offset_equal=equal, failed=failed)
        failed = self._mover.tell_sentinel()
        self._told_s = self._mover.now_s()
        return Facts(done=not failed, offset_equal=True, failed=failed)

    def await_new(self) -> Facts:
        self._new = self._mover.new_master(self._old)
        elapsed_s = self._mover.now_s() - self._told_s
        return Facts(new_master_seen=self._new is not None, elapsed_s=elapsed_s)

    def resume(self) -> Facts:
        failed = self._mover.resume(self._old)
        self._resumed_s = self._mover.now_s()
        return Facts(done=not failed, failed=failed)


_DEEDS: dict[Step, Callable[[_Move], Facts]] = {
    Step.PAUSE_RELAY: _Move.pause,
    Step.WAIT_OFFSET: _Move.wait_offset,
    Step.MOVE: _Move.move,
    Step.AWAIT_NEW_MASTER: _Move.await_new,
    Step.RESUME: _Move.resume,
    Step.ABORT: _Move.resume,
}


def _client(address: Address, user: str, password: str) -> "redis.Redis":
    host, port = address
    return redis.Redis(
        host=host,
        port=port,
        username=user,
        password=password,
        decode_responses=True,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
