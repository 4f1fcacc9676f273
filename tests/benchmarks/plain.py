"""Plain Celery on the same Redis, Sentinel and pool: what the fleet is compared with.

The worker runs `celery -A tests.benchmarks.plain worker`, configured by the environment.
"""

import os
import time

import redis
from celery import Celery

from tasks.broker import broker_urls, master_client, sentinel_kwargs, transport_options
from tasks.settings import settings

#: A queue that nobody in the fleet serves, so that both share one Redis without meeting.
QUEUE = "dev.dc3"
#: Where the tasks say that they ran; the access list allows keys of this shape.
DONE_KEY = "_kombu.bench.done"
LATENCY_KEY = "_kombu.bench.latency"

app = Celery("plain", broker=broker_urls(settings().broker))
app.conf.update(
    # Named, because `sentinel://` means the fleet's own transport wherever `tasks` was imported.
    broker_transport="kombu.transport.redis:SentinelTransport",
    broker_transport_options={
        **transport_options(settings().broker),
        "sentinel_kwargs": sentinel_kwargs(settings().broker),
    },
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    task_default_queue=QUEUE,
    task_create_missing_queues=True,
    worker_hijack_root_logger=True,
)

_client: "redis.Redis | None" = None


def client() -> "redis.Redis":
    """One connection a process."""
    global _client
    if _client is None or os.getpid() != getattr(client, "pid", 0):
        _client = master_client(settings().broker)
        client.pid = os.getpid()  # type: ignore[attr-defined]
    return _client


@app.task(name="plain.echo")  # type: ignore[untyped-decorator]
def echo(value: object) -> object:
    """Does nothing, like `canary.echo`."""
    return value


@app.task(name="plain.stamp")  # type: ignore[untyped-decorator]
def stamp(sent: float) -> None:
    """How long after sending this began to run, seconds of the wall clock of one machine."""
    client().lpush(LATENCY_KEY, time.time() - sent)
