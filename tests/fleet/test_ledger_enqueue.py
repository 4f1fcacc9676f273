"""Accepting calls in the ledger: with the caller's transaction, once a key, all or none."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery import chain, chord, group
from django.db import transaction

from fleet.ledger.acceptor import LedgerAcceptor
from fleet.ledger.enqueue import Accepted, accept, accept_many
from fleet.models import RunEvent, TaskRun
from fleet.policy.errors import (
    BadArgumentsError,
    FleetError,
    KeyConflictError,
    RefusedError,
    UnknownNameError,
)
from fleet.policy.states import IllegalTransitionError, RunStatus
from tasks import canary
from tasks.app import app
from tasks.call import Call, make_call
from tasks.handle import RunHandle
from tests.fleet.ledger_rows import enqueue
from tests.fleet.races import at_once, shared_database

pytestmark = pytest.mark.django_db


def call(value: Any = "x", **options: Any) -> Call:
    return make_call(app, "canary.echo", [value], **options)


def nothing_written() -> bool:
    return not TaskRun.objects.exists() and not RunEvent.objects.exists()


def test_an_accepted_run_is_one_row_with_its_first_event() -> None:
    accepted = accept(app, call(site="dc1", priority="high", group_id="g"), by="ada")
    run = TaskRun.objects.get()
    assert accepted == Accepted(run, created=True)
    assert (run.task, run.args, run.status, run.home) == (
        "canary.echo",
        ["x"],
        "READY",
        "control",
    )
    assert (run.queue_name, run.site, run.priority, run.effect) == ("dev.dc1", "dc1", 50, "A")
    assert (run.enqueued_by, run.group_id, run.attempts, run.token) == ("ada", "g", 0, 0)
    (event,) = run.events.all()
    assert (event.event, event.from_status, event.to_status) == ("enqueue", "", "READY")
    assert (event.who, event.at) == ("ada", run.enqueued_at)


def test_a_run_goes_with_the_callers_transaction() -> None:
    class CallerError(Exception):
        pass

    def caller() -> None:
        with transaction.atomic():
            canary.echo.delay("x")
            assert TaskRun.objects.count() == 1
            raise CallerError

    with pytest.raises(CallerError):
        caller()
    assert nothing_written()


@pytest.mark.django_db(transaction=True)
def test_the_relay_is_woken_when_the_callers_transaction_has_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    woken: list[str] = []
    monkeypatch.setattr("fleet.ledger.enqueue.wake_relay", lambda: woken.append("ring"))
    with transaction.atomic():
        canary.echo.delay("x")
        assert woken == []
    assert woken == ["ring"]


def test_the_same_key_with_the_same_content_is_the_first_run() -> None:
    first = accept(app, call(idempotency_key="k"), by="ada")
    again = accept(app, call(idempotency_key="k"), by="bob")
    assert (first.run, again.created) == (again.run, False)
    assert TaskRun.objects.count() == RunEvent.objects.count() == 1


def test_the_same_key_with_other_content_is_refused() -> None:
    first = accept(app, call("x", idempotency_key="k"), by="ada")
    with pytest.raises(KeyConflictError, match=f"'k' was used for run {first.run.pk}"):
        accept(app, call("y", idempotency_key="k"), by="ada")
    assert TaskRun.objects.count() == 1


def test_runs_without_a_key_are_never_the_same() -> None:
    assert accept(app, call(), by="ada").run != accept(app, call(), by="ada").run


def test_an_id_that_is_taken_is_refused() -> None:
    taken = uuid.uuid4()
    accept(app, call(task_id=taken), by="ada")
    with pytest.raises(RefusedError, match="a run with this task_id already"):
        accept(app, call(task_id=taken), by="ada")
    with pytest.raises(RefusedError, match="a run with this task_id already"):
        accept_many(app, [call("a"), call("b", task_id=taken)], by="ada")
    assert TaskRun.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_programs_that_use_a_key_at_once_one_makes_the_run(tmp_path: Path) -> None:
    def program() -> tuple[uuid.UUID, bool]:
        accepted = accept(app, call(idempotency_key="k"), by="race")
        return accepted.run.pk, accepted.created

    assert nothing_written()
    with shared_database(tmp_path):
        answers = at_once(*[program] * 4)
        (counts,) = at_once(lambda: (TaskRun.objects.count(), RunEvent.objects.count()))
    assert sorted(created for _, created in answers) == [False, False, False, True]
    assert len({run for run, _ in answers}) == 1
    assert counts == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_a_key_that_another_program_used_in_between_gives_its_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The look-up sees nothing, the insert meets the other's row."""
    from fleet.ledger import enqueue as module

    usual, looked = module._earlier, []

    def blind_once(wanted: Call) -> Accepted | None:
        looked.append(wanted)
        return None if len(looked) == 1 else usual(wanted)

    first = accept(app, call(idempotency_key="k"), by="ada")
    monkeypatch.setattr(module, "_earlier", blind_once)
    again = accept(app, call(idempotency_key="k"), by="bob")
    assert (again.run, again.created, len(looked)) == (first.run, False, 2)


def test_many_are_accepted_in_order_each_with_its_event() -> None:
    calls = [call(n, idempotency_key=f"k{n}" if n % 3 == 0 else None) for n in range(10)]
    accepted = accept_many(app, [*calls, call(3, idempotency_key="k3")], by="ada")
    assert [a.run.args for a in accepted] == [[n] for n in [*range(10), 3]]
    assert accepted[10].run == accepted[3].run
    assert [a.created for a in accepted] == [True] * 10 + [False]
    assert TaskRun.objects.count() == RunEvent.objects.count() == 10


def test_many_take_few_statements(django_assert_max_num_queries: Any) -> None:
    calls = [call(n) for n in range(500)]
    with django_assert_max_num_queries(30):
        accept_many(app, calls, by="ada")
    assert TaskRun.objects.count() == 500


BAD: list[tuple[Callable[[], Any], type[FleetError]]] = [
    (lambda: canary.echo.s(object()), BadArgumentsError),
    (lambda: app.signature("canary.ecco"), UnknownNameError),
    (lambda: canary.echo.s("other").set(idempotency_key="k"), KeyConflictError),
]


@pytest.mark.parametrize(("bad", "error"), BAD)
def test_one_bad_call_among_many_refuses_them_all(
    bad: Callable[[], Any], error: type[FleetError]
) -> None:
    good = [canary.echo.s("x").set(idempotency_key="k"), *(canary.echo.s(n) for n in range(9))]
    with pytest.raises(error):
        app.enqueue_many([*good, bad()])
    assert nothing_written()


ROADS: dict[str, Callable[[], Any]] = {
    "delay": lambda: canary.echo.delay("x"),
    "apply_async": lambda: canary.echo.apply_async(("x",)),
    "send_task": lambda: app.send_task("canary.echo", ["x"]),
    "signature": lambda: app.signature("canary.echo", ("x",)).apply_async(),
    "signature.delay": lambda: canary.echo.si("x").delay(),
    "enqueue_many": lambda: app.enqueue_many([canary.echo.s("x")])[0],
    "group": lambda: group([canary.echo.s("x")]).apply_async()[0],
}


@pytest.mark.parametrize("road", ROADS)
def test_every_road_of_a_django_process_ends_in_the_ledger(road: str) -> None:
    handle = ROADS[road]()
    run = TaskRun.objects.get()
    assert isinstance(handle, RunHandle)
    assert (handle.id, run.args, handle.status) == (str(run.pk), ["x"], RunStatus.READY)


@pytest.mark.parametrize(
    "canvas",
    [
        lambda: chain(canary.echo.s("x"), canary.echo.s())(),
        lambda: chord([canary.echo.s("x"), canary.echo.s("y")])(canary.echo.s()),
        lambda: canary.echo.apply_async(("x",), link=canary.echo.s()),
        lambda: canary.echo.apply_async(("x",), link_error=canary.echo.s()),
    ],
    ids=["chain", "chord", "link", "link_error"],
)
def test_a_canvas_that_cannot_be_kept_is_refused_whole(canvas: Callable[[], Any]) -> None:
    with pytest.raises(RefusedError, match=r"cannot be kept durable|need a result backend"):
        canvas()
    assert nothing_written()


def test_waiting_inside_a_transaction_is_refused_as_it_would_never_end() -> None:
    handle = canary.echo.delay("x")
    with pytest.raises(RefusedError, match="inside a database transaction"):
        handle.get(timeout=5)


def test_a_handle_cancels_its_run_once() -> None:
    handle = LedgerAcceptor(app).accept(call())
    handle.cancel()
    assert handle.status is RunStatus.CANCELLED
    with pytest.raises(IllegalTransitionError):
        handle.cancel()


def test_a_handle_of_a_key_says_whether_it_made_the_run() -> None:
    first = canary.echo.apply_async(("x",), idempotency_key="k")
    assert first.created
    assert not canary.echo.apply_async(("x",), idempotency_key="k").created
    assert enqueue().pk != uuid.UUID(first.id)
