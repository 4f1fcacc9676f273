"""The ledger as a home's store: what is due, tokens, what is under way."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from fleet.ledger.store import LedgerStore
from fleet.ledger.transitions import move
from fleet.models import Attempt, TaskRun, Worker
from fleet.policy.liveness import SUSPECT_AFTER_S
from fleet.policy.states import AttemptStatus
from fleet.policy.states import RunEvent as Happening
from fleet.policy.tokens import home_of
from tests.fleet.api_calls import make_run, make_site
from tests.fleet.ledger_rows import NOW, attempt_of, enqueue, later, publish
from tests.fleet.races import at_once, shared_database

pytestmark = pytest.mark.django_db


@pytest.fixture
def store() -> LedgerStore:
    return LedgerStore()


def due(store: LedgerStore, now: Any = NOW, limit: int = 100) -> list[str]:
    return [run.run_id for run in store.due(now, limit, ())]


def ids(*runs: TaskRun) -> list[str]:
    return [str(run.pk) for run in runs]


def test_the_most_urgent_is_due_first_and_equals_in_the_order_of_their_coming(
    store: LedgerStore,
) -> None:
    first, second = enqueue(), enqueue()
    urgent, calm = enqueue(priority="incident"), enqueue(priority=-1)
    assert due(store) == ids(urgent, first, second, calm)
    assert due(store, limit=2) == ids(urgent, first)


def test_only_ready_runs_of_this_home_whose_time_has_come_are_due(store: LedgerStore) -> None:
    wanted = enqueue()
    delayed, expiring = enqueue(run_after=later(10)), enqueue(expires_at=later(10))
    publish(enqueue())
    make_run(home="dc1")
    for status in ("RUNNING", "SUCCESSFUL", "FAILED", "CANCELLED", "DEAD"):
        make_run(status=status)
    assert due(store) == ids(wanted, expiring)
    assert due(store, later(10)) == ids(wanted, delayed)


def test_what_cannot_go_now_is_left_out_by_group(store: LedgerStore) -> None:
    anywhere, pinned = enqueue(), enqueue(site="dc1")
    here, there = store.due(NOW, 10, ())
    assert {here.group, there.group} == {("dev", "", here.effect), ("dev", "dc1", here.effect)}
    assert [r.run_id for r in store.due(NOW, 10, {("dev", "", here.effect)})] == ids(pinned)
    assert [r.run_id for r in store.due(NOW, 10, {("dev", "dc1", here.effect)})] == ids(anywhere)


def test_an_attempt_is_opened_once_with_a_token_of_the_control_plane(store: LedgerStore) -> None:
    run = enqueue(idempotency_key="k", expires_at=later(60))
    (dispatch,) = store.open_attempts([(str(run.pk), "dev.dc1")], NOW)
    assert (dispatch.run_id, dispatch.queue, dispatch.key) == (str(run.pk), "dev.dc1", "k")
    assert (dispatch.args, dispatch.attempt, dispatch.expires_at) == (["x"], 1, later(60))
    assert home_of(dispatch.token) == 0
    attempt = Attempt.objects.get()
    assert (attempt.token, attempt.status, attempt.number) == (dispatch.token, "CREATED", 1)
    assert store.open_attempts([(str(run.pk), "dev.dc1")], NOW) == []
    assert due(store) == []


def test_a_run_that_was_cancelled_in_between_gets_no_attempt(store: LedgerStore) -> None:
    run, other = enqueue(), enqueue()
    move(run, Happening.CANCEL, now=NOW, why="", who="ada")
    opened = store.open_attempts([(str(r.pk), "dev") for r in (run, other)], NOW)
    assert [d.run_id for d in opened] == ids(other)


def test_two_relays_never_hand_out_the_same_token_and_a_runs_tokens_increase() -> None:
    stores, seen = [LedgerStore(), LedgerStore()], []
    run = enqueue()
    for turn in range(6):
        (dispatch,) = stores[turn % 2].open_attempts([(str(run.pk), "dev")], NOW)
        seen.append(dispatch.token)
        run.refresh_from_db()
        for event in (Happening.CLAIM, Happening.LOSE):
            assert move(run, event, now=NOW, why="", who="ada")
    assert seen == sorted(set(seen))
    assert Attempt.objects.count() == 6


@pytest.mark.django_db(transaction=True)
def test_two_relays_at_once_give_each_run_one_attempt(tmp_path: Path) -> None:
    chosen = [(str(enqueue().pk), "dev") for _ in range(20)]
    with shared_database(tmp_path):
        relays = [partial(LedgerStore().open_attempts, chosen, NOW) for _ in range(2)]
        opened = [dispatch for answer in at_once(*relays) for dispatch in answer]
        (attempts,) = at_once(Attempt.objects.count)
    assert sorted(d.run_id for d in opened) == sorted(run_id for run_id, _ in chosen)
    assert len({d.token for d in opened}) == attempts == 20


def test_a_published_attempt_is_marked_and_counted(store: LedgerStore) -> None:
    run = enqueue()
    token = publish(run).token
    store.mark_published([token], later(5))
    (attempt,) = store.under_way()
    assert (attempt.status, attempt.times_published) == (AttemptStatus.PUBLISHED, 2)
    assert (attempt.published_at, attempt.created_at) == (later(5), NOW)


def test_a_mark_that_comes_after_the_claim_leaves_the_attempt_running(store: LedgerStore) -> None:
    run = enqueue()
    (dispatch,) = store.open_attempts([(str(run.pk), "dev")], NOW)
    run.refresh_from_db()
    move(run, Happening.CLAIM, now=NOW, why="", who="w")
    store.mark_published([dispatch.token], NOW)
    assert attempt_of(run).status == AttemptStatus.RUNNING
    assert store.dispatches([dispatch.token]) == []


def test_only_attempts_that_wait_can_be_published_again(store: LedgerStore) -> None:
    waiting, cancelled, running = enqueue(), enqueue(), enqueue()
    tokens = [publish(run).token for run in (waiting, cancelled, running)]
    move(cancelled, Happening.CANCEL, now=NOW, why="", who="ada")
    move(running, Happening.CLAIM, now=NOW, why="", who="w")
    assert [d.token for d in store.dispatches(tokens)] == tokens[:1]
    assert {a.run_id for a in store.under_way()} == set(ids(waiting, running))


def test_a_lease_that_is_over_is_lost_once(store: LedgerStore) -> None:
    run = enqueue()
    token = publish(run).token
    store.lose(token, "silent", NOW)
    run.refresh_from_db()
    assert run.status == "READY"
    assert run.open_attempt
    move(run, Happening.CLAIM, now=NOW, why="", who="w")
    store.lose(token, "silent", NOW)
    store.lose(token, "silent", NOW)
    run.refresh_from_db()
    assert (run.status, run.open_attempt, run.events.count()) == ("READY", False, 3)
    assert attempt_of(run).status == AttemptStatus.LOST


def test_an_expired_run_is_cancelled_unless_it_runs(store: LedgerStore) -> None:
    waiting, published, running, lasting = (enqueue(expires_at=later(s)) for s in (5, 5, 5, 60))
    publish(published)
    publish(running)
    move(running, Happening.CLAIM, now=NOW, why="", who="w")
    assert store.expire_due(later(4)) == 0
    assert store.expire_due(later(5)) == 2
    for run in (waiting, published, running, lasting):
        run.refresh_from_db()
    assert [r.status for r in (waiting, published)] == ["CANCELLED"] * 2
    assert [r.status for r in (running, lasting)] == ["RUNNING", "READY"]
    assert attempt_of(published).status == AttemptStatus.VOID


def test_only_workers_that_were_heard_lately_count_as_supply() -> None:
    site = make_site("dc1", 1)
    old = NOW - timedelta(seconds=SUSPECT_AFTER_S)
    for name, seen, stopped in (
        ("alive", NOW, None),
        ("silent", old, None),
        ("stopped", NOW, NOW),
        ("never", None, None),
    ):
        Worker.objects.create(
            id=name,
            site=site,
            box="b",
            capabilities=[name],
            slots=3,
            last_seen_at=seen,
            stopped_at=stopped,
        )
    (supply,) = LedgerStore().supply(NOW)
    assert (supply.site, supply.capabilities, supply.slots) == ("dc1", frozenset({"alive"}), 3)


class ManyRuns(TestCase):
    """The order of what is due is a total one."""

    @given(st.lists(st.integers(-100, 100), min_size=1, max_size=8))
    @hypothesis_settings(max_examples=20, deadline=None)
    def test_due_is_sorted_by_priority_and_then_by_age(self, priorities: list[int]) -> None:
        TaskRun.objects.all().delete()
        runs = [enqueue(priority=priority) for priority in priorities]
        expected = sorted(runs, key=lambda run: (-run.priority, run.enqueued_at))
        assert due(LedgerStore()) == ids(*expected)
