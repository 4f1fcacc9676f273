"""Depths on Flower's broker page, and whose handlers answer."""

import asyncio

import fakeredis
import pytest
from flower.api.tasks import TaskApply
from flower.urls import handlers
from flower.views.broker import BrokerView
from flower.views.monitor import Metrics

from fleet.control import flower_handlers
from fleet.control.flower_handlers import FleetBrokerView, FleetQueues, install
from fleet.control.flower_user import caller_of, header_of
from fleet.policy import routing
from tasks.settings import settings


def test_the_broker_page_shows_every_queue_with_its_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    server = fakeredis.FakeRedis()
    server.rpush("dev", "a", "b")
    monkeypatch.setattr("tasks.home.broker.master_client", lambda broker: server)
    page = FleetBrokerView.__new__(FleetBrokerView)
    rows = asyncio.run(FleetQueues().queues(page.get_active_queue_names()))

    assert {row["name"] for row in rows} == set(routing.all_queues(settings().sites))
    assert {row["name"]: row["messages"] for row in rows if row["messages"]} == {"dev": 2}


def test_our_handlers_take_the_place_of_flowers() -> None:
    def answering() -> set[type]:
        return {h[1] if isinstance(h, tuple) else h.handler_class for h in handlers}

    before, kept = list(handlers), [getattr(h, "handler_class", None) for h in handlers]
    try:
        install()
        assert answering() >= set(flower_handlers._OURS.values())
        assert answering().isdisjoint({BrokerView, Metrics, TaskApply})
    finally:
        handlers[:] = before
        for entry, handler in zip(handlers, kept, strict=True):
            if handler is not None:
                entry.handler_class = handler


@pytest.mark.parametrize("user", ["keeper", "Jörg", "a b%c", "x\ny"])
def test_a_users_name_survives_the_way_to_flower(user: str) -> None:
    headers = header_of(user)

    assert all(text.isascii() and "\n" not in text for text in headers.values())
    assert caller_of(headers) == f"flower: {user}"


def test_a_call_without_a_name_is_flowers_own() -> None:
    assert caller_of({}) == "flower"
