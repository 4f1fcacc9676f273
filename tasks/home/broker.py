"""The broker as a home sees it: depths, what is in it, and publishing in one round trip."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from celery import Celery
from kombu.exceptions import BatchPublishError, OperationalError
from redis.exceptions import RedisError
from redis.sentinel import MasterNotFoundError

from fleet.policy.errors import NetworkError
from tasks.broker import master_client
from tasks.home.message import send_signed
from tasks.home.signer import Signed
from tasks.settings import BrokerSettings
from tasks.transport import PROBE_KEY

UNACKED_KEY = "unacked"
LONGEST_REASON = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerState:
    """Messages waiting by queue, and taken but unacknowledged in all."""

    depths: dict[str, int]
    unacked: int
    master: str


class RedisBroker:
    """Publishes through kombu, asks Redis itself for the rest.

    Every method raises NetworkError when no master answers; nothing is then known about what
    was published.
    """

    def __init__(self, app: Celery, broker: BrokerSettings) -> None:
        self._app = app
        self._redis = master_client(broker)

    def depths(self, queues: Sequence[str]) -> dict[str, int]:
        """Messages waiting in each queue, in one round trip.

        Also raises NetworkError while the master takes no writes: nothing could be published.
        """
        with _translated():
            pipeline = self._redis.pipeline(transaction=False)
            for queue in queues:
                pipeline.llen(queue)
            pipeline.delete(PROBE_KEY)
            return dict(zip(queues, pipeline.execute()[:-1], strict=True))

    def state(self, queues: Sequence[str]) -> BrokerState:
        """Depths, what is unacknowledged, and who is master."""
        depths = self.depths(queues)
        with _translated():
            unacked = int(self._redis.hlen(UNACKED_KEY))
        return BrokerState(depths=depths, unacked=unacked, master=self.master())

    def waiting(self, queues: Sequence[str]) -> set[int]:
        """The tokens of the messages that wait in these queues: a few hundred at most.

        What a worker has taken does not count. It is claimed within moments, and if it is not,
        the worker is gone: Redis would hand it out again only after the visibility timeout.
        """
        with _translated():
            pipeline = self._redis.pipeline(transaction=False)
            for queue in queues:
                pipeline.lrange(queue, 0, -1)
            messages = [json.loads(text) for texts in pipeline.execute() for text in texts]
        return {token for token in map(_token, messages) if token is not None}

    def held(self) -> set[int]:
        """The tokens of the messages that workers have taken and not acknowledged."""
        with _translated():
            taken = [json.loads(text) for text in self._redis.hvals(UNACKED_KEY)]
        messages = [item[0] for item in taken if isinstance(item, list) and item]
        return {token for token in map(_token, messages) if token is not None}

    def master(self) -> str:
        """Which Redis leads, as host:port."""
        with _translated():
            pool: Any = self._redis.connection_pool
            host, port = pool.get_master_address()
        return f"{host}:{port}"

    def publish(self, batch: Sequence[Signed]) -> None:
        """Publish signed attempts; all of them, or an error after which some may be there."""
        with _translated(), self._app.producer_or_acquire() as producer, producer.batch() as pipe:
            for signed in batch:
                send_signed(self._app, producer, signed)
            del pipe


def _token(message: Any) -> int | None:
    turtle = message.get("headers", {}).get("turtle") if isinstance(message, dict) else None
    token = turtle.get("token") if isinstance(turtle, dict) else None
    return token if isinstance(token, int) else None


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except MasterNotFoundError as error:
        # redis-py's own text shows every connection with all its options.
        raise NetworkError("broker: no Sentinel names a master that answers") from error
    except (RedisError, OperationalError, BatchPublishError, OSError) as error:
        raise NetworkError(f"broker: {_short(error)}") from error


def _short(error: BaseException) -> str:
    """kombu wraps redis-py's text; what matters of a master that is missing is that it is."""
    cause = error.__cause__
    if isinstance(cause, MasterNotFoundError):
        return "no Sentinel names a master that answers"
    return str(error)[:LONGEST_REASON]
