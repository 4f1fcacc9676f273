"""A busy worker's events leave together, in order, and none is left behind."""

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from kombu.asynchronous import Hub

from tasks.gather import GATHER_S, GatherEvents

DEADLINE_S = 5.0


class Published:
    """Stands where the broker is: keeps what a dispatcher publishes, one item a message."""

    def __init__(self) -> None:
        self.messages: list[list[str]] = []

    def publish(self, events: list[dict[str, Any]], **_: Any) -> None:
        self.messages.append([event["uuid"] for event in events])


@pytest.fixture
def worker() -> Iterator[SimpleNamespace]:
    """A consumer with a real event loop and a real dispatcher."""
    app, hub, published = Celery("events", broker="memory://"), Hub(), Published()  # type: ignore[no-untyped-call]
    with app.connection_for_write() as connection:
        dispatcher = app.events.Dispatcher(connection, buffer_group=["task"])
        dispatcher.producer = published
        consumer = SimpleNamespace(hub=hub, event_dispatcher=dispatcher)
        step = GatherEvents(consumer)
        step.start(consumer)
        yield SimpleNamespace(
            consumer=consumer, step=step, send=dispatcher.send, messages=published.messages
        )
        hub.close()  # type: ignore[no-untyped-call]


def turn_until_published(worker: SimpleNamespace) -> None:
    """Turn the event loop; it has nothing but its timers to look after."""
    deadline = time.monotonic() + DEADLINE_S
    while not worker.messages and time.monotonic() < deadline:
        next(worker.consumer.hub.loop)


def test_events_that_follow_each_other_leave_as_one_message(worker: SimpleNamespace) -> None:
    started = time.monotonic()
    for number in range(5):
        worker.send("task-started", uuid=str(number))
        assert worker.messages == []
    turn_until_published(worker)
    assert worker.messages == [["0", "1", "2", "3", "4"]]
    assert time.monotonic() - started >= GATHER_S


def test_the_clock_starts_again_with_the_next_event(worker: SimpleNamespace) -> None:
    worker.send("task-started", uuid="first")
    turn_until_published(worker)
    worker.messages.clear()
    worker.send("task-succeeded", uuid="second")
    turn_until_published(worker)
    assert worker.messages == [["second"]]


def test_two_dozen_events_do_not_wait_for_the_clock(worker: SimpleNamespace) -> None:
    for number in range(24):
        worker.send("task-started", uuid=str(number))
    assert [len(message) for message in worker.messages] == [24]


def test_a_worker_that_stops_sends_its_last_events(worker: SimpleNamespace) -> None:
    worker.send("task-succeeded", uuid="last")
    worker.step.shutdown(worker.consumer)
    assert worker.messages == [["last"]]
