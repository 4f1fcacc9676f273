"""The island's folder as a home sees it: the same questions as to Redis."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from celery import Celery
from kombu.connection import Connection
from kombu.messaging import Producer

from fleet.policy.errors import StorageError
from tasks.home.message import send_signed
from tasks.home.signer import Signed
from tasks.island import (
    URL,
    clear,
    install_island_transport,
    island_folder,
    island_options,
    messages,
)


class IslandBroker:
    """Implements `tasks.home.relay.Broker` over the folder of this box.

    Methods raise StorageError when the folder cannot be written.
    """

    def __init__(self, app: Celery, state_dir: Path) -> None:
        install_island_transport()
        self._app = app
        self._folder = island_folder(state_dir)
        options = island_options(state_dir)
        self._connection: Any = Connection(  # type: ignore[no-untyped-call]
            URL, transport_options=options
        )

    def clear(self) -> None:
        """Drop all that waits, before an island and after it."""
        try:
            clear(self._folder)
        except OSError as error:
            raise StorageError(f"island {self._folder}: {error.strerror}") from error

    def depths(self, queues: Sequence[str]) -> dict[str, int]:
        return {queue: len(messages(self._folder, queue)) for queue in queues}

    def waiting(self, queues: Sequence[str]) -> set[int]:
        texts = [_read(path) for queue in queues for path in messages(self._folder, queue)]
        return {_token(text) for text in texts if text}

    def held(self) -> set[int]:
        """None: what the worker has taken is claimed within moments, or given again."""
        return set()

    def master(self) -> str:
        """The folder is never replaced by another."""
        return str(self._folder)

    def publish(self, batch: Sequence[Signed]) -> None:
        try:
            producer: Any = Producer(  # type: ignore[no-untyped-call]
                self._connection.default_channel
            )
            for signed in batch:
                send_signed(self._app, producer, signed)
        except OSError as error:
            raise StorageError(f"island {self._folder}: {error.strerror}") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:  # the worker took it in this moment
        return ""


def _token(text: str) -> int:
    return int(json.loads(text)["headers"]["turtle"]["token"])
