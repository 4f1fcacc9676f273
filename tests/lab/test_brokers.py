"""Real Redis and Sentinel: who may do what, and what happens when a master goes."""

from functools import partial
from pathlib import Path

import pytest
import redis
from kombu.connection import Connection
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError
from redis.retry import Retry

from deploy.lab import ports
from deploy.lab.brokers import Brokers, running_brokers
from deploy.lab.waiting import wait_until
from deploy.topology import topology
from tests.lab.support import sentinel_url, transport_options

pytestmark = pytest.mark.integration

QUEUES_OF_DC1 = ("dev", "dev.dc1", "network", "network.dc1", "udm", "udm.dc1")


def test_dc1_leads_and_every_sentinel_sees_two_others(brokers: Brokers) -> None:
    assert brokers.master() == "dc1"
    for site in topology().names:
        with brokers.sentinel_client(site) as sentinel:
            state = sentinel.sentinel_master("turtle")
            assert state["num-other-sentinels"] == 2
            assert state["num-slaves"] == 2
            sentinel.set_response_callback("SENTINEL CKQUORUM", str)
            told = sentinel.execute_command("SENTINEL CKQUORUM", "turtle")
            assert told.startswith("OK 3 usable Sentinels")


def test_nobody_enters_without_a_user(brokers: Brokers) -> None:
    for address in (brokers.redis_address("dc1"), brokers.sentinel_address("dc1")):
        with (
            redis.Redis(
                host=address.host, port=address.port, retry=Retry(NoBackoff(), 0)
            ) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()


@pytest.mark.parametrize("queue", QUEUES_OF_DC1)
def test_a_worker_takes_from_its_own_queues(brokers: Brokers, queue: str) -> None:
    with brokers.client("dc1", "worker-dc1") as worker:
        worker.lpush(queue, "task")
        assert worker.brpop([queue], 1) == (queue, "task")


def test_a_worker_publishes_to_the_others_queues_but_takes_nothing_there(
    brokers: Brokers,
) -> None:
    if not brokers.server.has_selectors:
        pytest.skip("the server cannot limit commands to keys")
    with brokers.client("dc1", "worker-dc1") as worker, brokers.client("dc1") as control:
        assert worker.lpush("openwrt.dc2", "task") == 1
        assert worker.lrange("openwrt.dc2", 0, -1) == ["task"]
        for take in (worker.rpop, worker.lpop, worker.delete, worker.brpop):
            with pytest.raises(NoPermissionError):
                take("openwrt.dc2")
        assert control.rpop("openwrt.dc2") == "task"


@pytest.mark.parametrize("user", ["control", "worker-dc1", "worker-dc2"])
@pytest.mark.parametrize(
    "command",
    ["FLUSHALL", "CONFIG GET *", "ACL LIST", "SHUTDOWN", "BGREWRITEAOF", "KEYS *",
     "REPLICAOF NO ONE", "CLIENT KILL TYPE normal", "SCRIPT FLUSH", "SET strange 1", "MONITOR"],
)  # fmt: skip
def test_clients_cannot_administer(brokers: Brokers, user: str, command: str) -> None:
    with brokers.client("dc1", user) as client, pytest.raises(NoPermissionError):
        client.execute_command(*command.split())


@pytest.mark.parametrize(
    "command",
    ["SENTINEL FAILOVER turtle", "SENTINEL SET turtle quorum 1", "SENTINEL REMOVE turtle",
     "SENTINEL RESET *", "SHUTDOWN", "ACL LIST", "PUBLISH __sentinel__:hello x"],
)  # fmt: skip
def test_clients_of_sentinel_only_ask(brokers: Brokers, command: str) -> None:
    with brokers.sentinel_client("dc1") as client, pytest.raises(NoPermissionError):
        client.execute_command(*command.split())


def test_replication_and_sentinel_users_read_no_task(brokers: Brokers) -> None:
    for user in ("replication", "sentinel"):
        with brokers.client("dc1", user) as client, pytest.raises(NoPermissionError):
            client.lrange("dev", 0, -1)


@pytest.mark.parametrize("user", ["control", "worker-dc1", "worker-dc2"])
def test_celerys_transport_works_with_the_access_list(brokers: Brokers, user: str) -> None:
    with Connection(  # type: ignore[no-untyped-call]
        sentinel_url(brokers, "dc2", user), transport_options=transport_options(brokers)
    ) as connection:
        queue = connection.SimpleQueue("dev")
        queue.put({"sent by": user})
        message = queue.get(timeout=5)
        assert message.payload == {"sent by": user}
        message.ack()
        queue.close()


def test_secrets_stay_private_also_where_redis_rewrites_files(brokers: Brokers) -> None:
    files = [path for path in brokers.root.rglob("*") if path.is_file()]
    folders = [path for path in brokers.root.rglob("*") if path.is_dir()]
    rewritten = brokers.files.conf("dc1", "sentinel").read_text(encoding="utf-8")
    assert "known-sentinel" in rewritten
    assert [path for path in files if path.stat().st_mode & 0o077] == []
    assert [path for path in folders if path.stat().st_mode & 0o077] == []


def test_a_killed_master_is_replaced_and_comes_back_as_a_replica(tmp_path: Path) -> None:
    with running_brokers(tmp_path) as brokers:
        with brokers.client("dc1") as client:
            client.lpush("dev", "before")
            assert client.wait(2, 2000) == 2
        brokers.kill("dc1")

        assert brokers.wait_for_master("dc2", "dc3") == "dc2"
        with brokers.client("dc2", "worker-dc1") as client:
            assert client.lrange("dev", 0, -1) == ["before"]
            client.lpush("dev", "after")

        brokers.start_one("dc1")
        brokers.wait_ready()
        assert brokers.master() == "dc2"
        with brokers.client("dc1") as client:
            assert client.lrange("dev", 0, -1) == ["after", "before"]

        # A start from the same folder on other ports keeps data and leader.
        brokers.close()
        brokers.addresses = ports.choose(topology(), usual=False)
        brokers.start()
        brokers.wait_ready()
        assert brokers.master() == "dc2"
        with brokers.client("dc2") as client:
            assert client.lrange("dev", 0, -1) == ["after", "before"]


def test_a_frozen_master_is_replaced_and_yields_when_it_wakes(tmp_path: Path) -> None:
    with running_brokers(tmp_path) as brokers:
        brokers.pause("dc1")
        assert brokers.wait_for_master("dc2", "dc3") == "dc2"
        brokers.resume("dc1")
        with brokers.client("dc1") as woken, pytest.raises(redis.ResponseError):
            # Without replicas it refuses; once it follows it is read-only.
            woken.lpush("dev", "lost?")
        brokers.wait_ready()
        assert brokers.master() == "dc2"


SITES = ("dc1", "dc2", "dc3")


def is_written(brokers: Brokers, site: str) -> bool:
    """A Redis that waits for its disk keeps up to two seconds of writes in memory."""
    found = brokers.info(site, "persistence") or {}
    return not found.get("aof_buffer_length") and not found.get("aof_pending_bio_fsync")


def test_what_was_written_in_a_transaction_survives_a_restart(tmp_path: Path) -> None:
    """Redis loads its append-only file as its default user, whom the access list must let."""
    with running_brokers(tmp_path) as brokers:
        with brokers.client("dc1") as client:
            pipeline = client.pipeline(transaction=True)
            pipeline.lpush("dev", "one")
            pipeline.hset("unacked", "tag", "two")
            pipeline.execute()
            client.lpush("dev", "three")
            assert client.wait(2, 5000) == 2
        wait_until(
            lambda: all(map(partial(is_written, brokers), SITES)),
            deadline_s=10.0,
            what="the append-only files",
        )
        for site in ("dc1", "dc2", "dc3"):
            brokers.kill(site)
        for site in ("dc1", "dc2", "dc3"):
            brokers.start_one(site)
        leader = brokers.wait_for_master()
        with brokers.client(leader) as client:
            assert client.lrange("dev", 0, -1) == ["three", "one"]
            assert client.hget("unacked", "tag") == "two"
