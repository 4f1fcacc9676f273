"""The planned move of a real broker under writes: nothing that was acknowledged is lost."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from deploy.lab.brokers import Brokers, running_brokers
from deploy.render import acl
from fleet.control.moving import BrokerMover, Moved
from tasks.broker import master_client
from tasks.settings import BrokerSettings
from turtle_site.config import MoverSettings

pytestmark = pytest.mark.integration
LIST = "dev"


def settings(brokers: Brokers) -> BrokerSettings:
    return BrokerSettings(
        sentinels=brokers.sentinel_addresses("dc3"),
        username=acl.CONTROL,
        password_file=brokers.password_file(acl.CONTROL),
        sentinel_password_file=brokers.password_file(acl.SENTINEL_CLIENT),
    )


def mover(brokers: Brokers, paused: threading.Event) -> BrokerMover:
    users = MoverSettings(
        password_file=brokers.password_file(acl.MOVER),
        sentinel_password_file=brokers.password_file(acl.SENTINEL_MOVER),
    )
    return BrokerMover(settings(brokers), users, paused)


class Writer(threading.Thread):
    """Writes numbers as fast as it can to whichever Redis leads, and keeps what was taken."""

    def __init__(self, brokers: Brokers) -> None:
        super().__init__(daemon=True)
        self._client = master_client(settings(brokers))
        self._stopping = threading.Event()
        self.taken: list[int] = []

    def run(self) -> None:
        number = 0
        while not self._stopping.is_set():
            number += 1
            try:
                self._client.lpush(LIST, number)
            except redis.RedisError:
                self._stopping.wait(0.01)
            else:
                self.taken.append(number)

    def stop(self) -> list[int]:
        self._stopping.set()
        self.join(timeout=20)
        return self.taken


def move_under_writes(brokers: Brokers, move: Callable[[], Moved]) -> tuple[Moved, set[int]]:
    """Returns how it ended, and the acknowledged numbers that the new master does not have."""
    writer = Writer(brokers)
    writer.start()
    assert wait_for(lambda: len(writer.taken) > 200)
    found = move()
    before = len(writer.taken)
    assert wait_for(lambda: len(writer.taken) > before + 200), "writers did not go on"
    taken = writer.stop()
    brokers.wait_for_master("dc2")
    with brokers.client("dc2") as client:
        kept = {int(number) for number in client.lrange(LIST, 0, -1)}
    return found, set(taken) - kept


def wait_for(condition: Callable[[], bool], deadline_s: float = 30.0) -> bool:
    tick = threading.Event()
    for _ in range(int(deadline_s / 0.05)):
        if condition():
            return True
        tick.wait(0.05)
    return False


def test_a_planned_move_loses_nothing_and_pauses_writers_for_less_than_two_seconds(
    tmp_path: Path,
) -> None:
    paused = threading.Event()
    with running_brokers(tmp_path) as brokers:
        found, lost = move_under_writes(brokers, mover(brokers, paused).move)
        assert found.moved, found.reason
        assert lost == set()
        assert found.paused_s < 2.0
        assert not paused.is_set()


def test_without_a_replica_that_follows_nothing_moves_and_writers_go_on(tmp_path: Path) -> None:
    paused = threading.Event()
    with running_brokers(tmp_path) as brokers:
        brokers.pause("dc2")
        found = mover(brokers, paused).move()
        assert not found.moved
        assert "catch up" in found.reason or "replica" in found.reason
        assert not paused.is_set()
        brokers.resume("dc2")
        with brokers.client("dc1") as client:
            assert wait_for(lambda: bool(client.lpush(LIST, 1)))
        assert brokers.master() == "dc1"


@pytest.mark.parametrize("command", ["FLUSHALL", "LPUSH dev x", "CONFIG GET *"])
def test_the_mover_can_do_nothing_else(brokers: Brokers, command: str) -> None:
    with (
        brokers.client("dc1", acl.MOVER) as client,
        pytest.raises(redis.exceptions.NoPermissionError),
    ):
        client.execute_command(*command.split())
