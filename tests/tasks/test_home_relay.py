"""Relay and reconciler over a site's journal: order, window, what is stuck, what is missing."""

import base64
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import select

from fleet.policy.dispatch import Supply
from fleet.policy.effects import EffectClass
from fleet.policy.errors import NetworkError
from fleet.policy.reconcile import MISSING_AFTER_S, UNMARKED_AFTER_S
from fleet.policy.window import MIN_WINDOW
from tasks.app import app
from tasks.box import Box
from tasks.call import make_call
from tasks.home.journal_store import JournalStore
from tasks.home.reconcile import Reconciler
from tasks.home.relay import Relay
from tasks.home.settle import Settler
from tasks.home.signer import Signer
from tasks.journal import Claims
from tasks.journal.tables import HomeRunRow
from tasks.producer import JournalAcceptor
from tasks.settings import load_settings
from tasks.signing import is_valid
from tests.tasks.envelopes import NOW
from tests.tasks.home_world import KEY
from tests.tasks.paper import PaperBroker, quick_folder


class Home:
    """A site's home with a broker on paper; `supply` are its live workers."""

    def __init__(self, box: Box) -> None:
        self.supply = [Supply(site="dc1", capabilities=frozenset({"dev"}), slots=2)]
        self.database = box.database
        self.acceptor = JournalAcceptor(app, box)
        self.store = JournalStore(box.database, "dc1", 1, lambda: self.supply)
        self.broker = PaperBroker()
        self.relay = Relay(self.store, self.broker, Signer("dc1", KEY))
        self.reconciler = Reconciler(self.store, self.broker, self.relay)

    def accept(self, task: str, count: int = 1, **options: Any) -> list[str]:
        calls = [make_call(app, task, [f"k{n}"], **options) for n in range(count)]
        return [handle.id for handle in self.acceptor.accept_many(calls)]

    def published(self, queue: str) -> list[str]:
        return [signed.envelope.id for signed in self.broker.queues[queue]]

    def row(self, run_id: str) -> Any:
        table = HomeRunRow.__table__  # type: ignore[attr-defined]
        statement = select(table).where(table.c.run_id == run_id)
        with self.database.read() as connection:
            return connection.execute(statement).mappings().one()


@pytest.fixture
def home() -> Iterator[Home]:
    with quick_folder() as folder:
        box = Box(load_settings(site="dc1", box="mini-1", state_dir=folder))
        yield Home(box)
        box.database.close()


def test_the_most_urgent_goes_first_and_equals_in_the_order_of_their_coming(home: Home) -> None:
    first, second = home.accept("canary.echo") + home.accept("canary.echo")
    urgent = home.accept("canary.echo", priority="incident")
    calm = home.accept("canary.echo", priority="batch")
    assert home.relay.step(NOW).published == 4
    assert home.published("dev") == [*urgent, first, second, *calm]


def test_the_broker_holds_a_window_and_the_journal_the_rest(home: Home) -> None:
    home.accept("canary.echo", MIN_WINDOW + 30)
    assert home.relay.step(NOW).published == MIN_WINDOW
    assert home.relay.step(NOW).published == 0
    for _ in range(10):
        home.broker.queues["dev"].popleft()
    assert home.relay.step(NOW).published == 10
    assert len(home.published("dev")) == MIN_WINDOW


def test_a_deep_backlog_of_one_queue_does_not_hold_up_another(home: Home) -> None:
    home.accept("canary.echo", 800)
    home.relay.step(NOW)
    other = home.accept("canary.echo", site="dc2")
    home.relay.step(NOW)
    assert home.published("dev.dc2") == other


def test_runs_that_no_worker_can_take_do_not_hold_up_the_others(home: Home) -> None:
    home.supply = []
    waiting = home.accept("canary.effect_d", 600, priority="incident")
    others = home.accept("canary.echo", site="dc1")
    home.relay.step(NOW)
    assert home.published("dev.dc1") == others
    assert {home.row(run)["attempts"] for run in waiting[:3]} == {0}


def test_class_d_goes_to_the_queue_of_one_site(home: Home) -> None:
    runs = home.accept("canary.effect_d", 2)
    home.relay.step(NOW)
    assert home.published("dev.dc1") == runs
    assert home.published("dev") == []


def test_what_is_published_is_signed_for_its_queue_and_says_all_that_matters(home: Home) -> None:
    (run,) = home.accept("canary.echo", idempotency_key="key 1", site="dc2")
    home.relay.step(NOW)
    signed = home.broker.queues["dev.dc2"][0]
    envelope = signed.envelope
    assert (envelope.id, envelope.task, envelope.args) == (run, "canary.echo", ["k0"])
    assert (envelope.home, envelope.key, envelope.attempt) == ("dc1", "key 1", 1)
    assert envelope.expires_at_ms > envelope.issued_at_ms
    public = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert is_valid(base64.b64encode(public).decode(), envelope, signed.signature)


def test_a_run_is_not_published_before_its_time(home: Home) -> None:
    later = NOW + timedelta(seconds=30)
    home.accept("canary.echo", run_after=later)
    assert home.relay.step(later - timedelta(seconds=1)).published == 0
    assert home.relay.step(later).published == 1


def test_an_expired_run_is_cancelled_and_not_published(home: Home) -> None:
    end = NOW + timedelta(seconds=30)
    (run,) = home.accept("canary.echo", expires_at=end)
    assert home.store.expire_due(end - timedelta(seconds=1)) == 0
    assert home.relay.step(end).published == 0
    assert home.store.expire_due(end) == 1
    assert home.row(run)["status"] == "CANCELLED"
    assert "expired" in home.row(run)["reason"]


def test_nothing_is_given_an_attempt_while_the_broker_is_away(home: Home) -> None:
    (run,) = home.accept("canary.echo")
    home.broker.away_calls = 1
    with pytest.raises(NetworkError):
        home.relay.step(NOW)
    assert home.row(run)["attempts"] == 0
    assert home.relay.step(NOW).published == 1


def test_an_attempt_that_was_half_published_goes_again_with_the_same_token(home: Home) -> None:
    run = home.accept("canary.echo")[0]
    (dispatch,) = home.store.open_attempts([(run, "dev")], NOW)
    soon = NOW + timedelta(seconds=UNMARKED_AFTER_S)
    assert home.reconciler.step(NOW) == []
    assert [token for token, _ in home.reconciler.step(soon)] == [dispatch.token]
    assert [s.envelope.token for s in home.broker.queues["dev"]] == [dispatch.token]
    assert home.reconciler.step(soon + timedelta(hours=1)) == []


def test_a_message_that_the_broker_has_forgotten_goes_again_with_the_same_token(
    home: Home,
) -> None:
    home.accept("canary.effect_d")
    home.relay.step(NOW)
    token = home.broker.queues["dev.dc1"][0].envelope.token
    home.broker.forget()
    late = NOW + timedelta(seconds=MISSING_AFTER_S)
    assert home.reconciler.step(late - timedelta(seconds=1)) == []
    home.reconciler.step(late, broker_readable=False)
    assert home.broker.empty()
    assert home.reconciler.step(late) == []
    home.reconciler.step(late + timedelta(seconds=MISSING_AFTER_S))
    assert [s.envelope.token for s in home.broker.queues["dev.dc1"]] == [token]


def test_a_message_that_waited_long_is_not_missing_the_moment_it_is_taken(home: Home) -> None:
    home.accept("canary.echo")
    home.relay.step(NOW)
    later = NOW + timedelta(hours=1)
    assert home.reconciler.step(later) == []
    home.broker.take(["dev"], "w")
    assert home.reconciler.step(later + timedelta(seconds=MISSING_AFTER_S - 1)) == []
    again = home.reconciler.step(later + timedelta(seconds=MISSING_AFTER_S))
    assert len(again) == len(home.published("dev")) == 1


@pytest.mark.parametrize("effect", EffectClass)
def test_a_silent_worker_is_given_up_by_effect_class(home: Home, effect: EffectClass) -> None:
    (run,) = home.accept(f"canary.effect_{effect.lower()}")
    home.relay.step(NOW)
    queue = "dev.dc1" if effect is EffectClass.D else "dev"
    signed = home.broker.take([queue], "w")
    assert signed is not None
    Claims(home.database).claim(signed.envelope, effect, "w", NOW)
    Settler(home.database, "dc1", "dc1").settle_own_claims(NOW)
    home.broker.acknowledge("w")
    assert home.row(run)["status"] == "RUNNING"
    assert home.reconciler.step(NOW + timedelta(seconds=50)) == []
    home.store.see_running(Claims(home.database).running(), NOW + timedelta(seconds=50))
    assert home.reconciler.step(NOW + timedelta(seconds=100)) == []
    home.reconciler.step(NOW + timedelta(seconds=200))
    row = home.row(run)
    if effect is EffectClass.D:
        assert (row["status"], row["attempt_status"]) == ("DEAD", "LOST")
        assert home.relay.step(NOW + timedelta(seconds=200)).published == 0
    else:
        assert (row["status"], row["attempt_status"]) == ("READY", "LOST")
        home.relay.step(NOW + timedelta(seconds=200))
        assert home.row(run)["token"] > signed.envelope.token


def test_a_full_queue_of_one_class_hides_no_other(home: Home) -> None:
    """More class D runs than one look takes, all pinned to a full queue, and one of class A."""
    home.accept("canary.effect_d", 800, priority="high")
    home.relay.step(NOW)
    others = home.accept("canary.echo")
    home.relay.step(NOW)
    assert home.published("dev") == others


def after(seconds: float) -> Any:
    return NOW + timedelta(seconds=seconds)


def test_what_the_old_master_swallowed_is_published_again_within_five_seconds(home: Home) -> None:
    runs = home.accept("canary.echo", 3)
    home.relay.step(NOW)
    tokens = {run: home.row(run)["token"] for run in runs}
    assert home.reconciler.step(after(1)) == []
    home.broker.switch()
    done = [home.reconciler.step(after(1 + n)) for n in range(1, 5)]
    assert sorted(token for step in done for token, _ in step) == sorted(tokens.values())
    assert all("lost when the broker moved" in reason for step in done for _, reason in step)
    assert sorted(home.published("dev")) == sorted(runs)
    assert {run: home.row(run)["token"] for run in runs} == tokens


def test_after_a_switch_what_is_there_or_taken_is_left_alone(home: Home) -> None:
    waits, taken = home.accept("canary.echo", 2)
    home.relay.step(NOW)
    home.reconciler.step(after(1))
    assert home.broker.take(["dev"], "worker") is not None
    home.broker.switch(swallowed=False)
    assert [home.reconciler.step(after(1 + n)) for n in range(1, 6)] == [[]] * 5
    assert home.published("dev") == [taken]
    assert waits != taken


def test_what_is_published_after_the_switch_is_not_taken_for_lost(home: Home) -> None:
    home.accept("canary.echo")
    home.relay.step(NOW)
    home.reconciler.step(after(1))
    home.broker.switch(swallowed=False)
    home.reconciler.step(after(2))
    home.accept("canary.echo")
    home.relay.step(after(3))
    home.broker.queues["dev"].clear()
    published = [home.reconciler.step(after(3 + n / 2)) for n in range(1, 8)]
    assert sum(map(len, published)) == 1


def test_a_fresh_switch_is_looked_at_more_often(home: Home) -> None:
    home.accept("canary.echo")
    home.relay.step(NOW)
    home.reconciler.step(NOW)
    calm_s = home.reconciler.pause_s(NOW)
    home.broker.switch()
    home.reconciler.step(after(1))
    assert home.reconciler.pause_s(after(2)) < calm_s
    assert home.reconciler.pause_s(after(120)) == calm_s


def test_what_was_taken_while_the_broker_could_not_be_seen_is_not_published_again_at_once(
    home: Home,
) -> None:
    home.accept("canary.echo")
    home.relay.step(NOW)
    home.reconciler.step(after(1))
    assert home.broker.take(["dev"], "worker") is not None
    home.broker.acknowledge("worker")
    for seconds in range(2, 47, 2):
        assert home.reconciler.step(after(seconds), broker_readable=False) == []
    assert home.reconciler.step(after(47)) == []
    assert home.reconciler.step(after(47 + MISSING_AFTER_S - 1)) == []
    assert len(home.reconciler.step(after(47 + MISSING_AFTER_S))) == 1


def test_a_home_that_heard_nobody_takes_no_claim_for_lost_at_once(home: Home) -> None:
    (run,) = home.accept("canary.effect_a")
    home.relay.step(NOW)
    signed = home.broker.take(["dev"], "w")
    assert signed is not None
    Claims(home.database).claim(signed.envelope, EffectClass.A, "w", NOW)
    Settler(home.database, "dc1", "dc1").settle_own_claims(NOW)
    home.broker.acknowledge("w")
    home.reconciler.step(after(1))
    home.reconciler.deaf()
    assert home.reconciler.step(after(100)) == []
    assert home.reconciler.step(after(150)) == []
    assert home.row(run)["status"] == "RUNNING"
    assert len(home.reconciler.step(after(160))) == 1
