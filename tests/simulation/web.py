"""Requests and answers between agents and the control plane, with timeouts."""

from collections.abc import Callable
from typing import Any

from tests.simulation.clock import ticks
from tests.simulation.events import AGENTS, Process, Queue
from tests.simulation.network import PUBLIC, Network

Serve = Callable[[], Any]


class Web:
    def __init__(self, queue: Queue, network: Network) -> None:
        self._queue, self._network = queue, network
        self._open: list[_Request] = []

    def under_way(self) -> bool:
        """Whether anybody waits for an answer."""
        now = self._queue.now
        self._open = [r for r in self._open if not r.over and r.ends > now]
        return bool(self._open)

    def ask(
        self,
        client: Process,
        server: Process,
        ends: tuple[str, str],
        timeout_s: float,
        serve: Serve,
        answered: Callable[[Any], None],
        failed: Callable[[], None],
    ) -> None:
        """`serve` runs at the server; then either `answered` or `failed` runs at the client.

        `ends`: the client's place and the server's. A server that was stopped meanwhile
        serves what it finds afterwards, whether or not anybody waits for it.
        """
        now = self._queue.now
        over = now + client.clock.span(timeout_s)
        request = _Request(client, over, answered, failed)
        self._open.append(request)
        there = self._network.segment((PUBLIC, *ends), now)
        if there is not None:
            back = (PUBLIC, ends[1], ends[0])
            self._queue.at(
                there, AGENTS + 2, server.deliver, self._serve, request, client, serve, back
            )
        self._queue.at(over, AGENTS + 3, client.deliver, request.timed_out)

    def _serve(
        self, request: "_Request", client: Process, serve: Serve, back: tuple[str, str, str]
    ) -> None:
        body = serve()
        arrives = self._network.segment(back, self._queue.now + ticks(0.001))
        if arrives is not None:
            self._queue.at(arrives, AGENTS + 2, client.deliver, request.take, body)


class _Request:
    """Over once: with its answer or without."""

    def __init__(
        self,
        client: Process,
        ends: int,
        answered: Callable[[Any], None],
        failed: Callable[[], None],
    ) -> None:
        self._answered, self._failed = answered, failed
        self._client, self._life = client, client.lives
        self.ends, self.over = ends, False

    def take(self, body: Any) -> None:
        if self._end():
            self._answered(body)

    def timed_out(self) -> None:
        if self._end():
            self._failed()

    def _end(self) -> bool:
        """Whether the client still waits for it: it is the same process as when it asked."""
        first, self.over = not self.over, True
        return first and self._client.lives == self._life
