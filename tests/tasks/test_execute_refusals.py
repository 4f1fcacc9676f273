"""Messages that a worker must never execute, and what it writes down about them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fleet.policy.envelope import CLOCK_SKEW_MS, Refusal, header
from tasks import canary
from tasks.signing import sign
from tests.tasks.envelopes import RUN
from tests.tasks.paper import quick_folder
from tests.tasks.paper_worker import FORGER, KEY, WORKER, Worker, box_in, fresh, now_ms


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    with quick_folder() as folder:
        made = Worker(box_in(folder))
        monkeypatch.setattr("tasks.execute.own_box", lambda: made.box)
        monkeypatch.setattr(canary.echo, "run", made.run)
        yield made
        made.box.database.close()


@pytest.mark.parametrize("head", [{}, {"sig": 5}, [], "x"])
def test_an_unsigned_message_is_refused(worker: Worker, head: Any) -> None:
    worker.refused(lambda: worker.deliver(fresh(), head=head), Refusal.UNSIGNED)


def test_a_message_without_our_header_is_refused(worker: Worker) -> None:
    def plain_celery() -> Any:
        canary.echo.push_request(id=RUN, hostname=WORKER, called_directly=False)
        try:
            return canary.echo("x")
        finally:
            canary.echo.pop_request()

    worker.refused(plain_celery, Refusal.UNSIGNED)


def test_a_header_with_a_field_of_another_type_is_refused(worker: Worker) -> None:
    sent = fresh()
    head = header(sent, sign(KEY, sent)) | {"token": "256"}
    worker.refused(lambda: worker.deliver(sent, head=head), Refusal.MALFORMED)


def test_a_home_that_this_box_does_not_know_is_refused(worker: Worker) -> None:
    worker.refused(lambda: worker.deliver(fresh(home="dc9")), Refusal.UNKNOWN_HOME)


def test_a_forged_message_is_refused(worker: Worker) -> None:
    worker.refused(lambda: worker.deliver(fresh(), key=FORGER), Refusal.ALTERED)


@pytest.mark.parametrize(
    "change",
    [
        {"args": [2]},
        {"kwargs": {"value": 2}, "args": []},
        {"id": "0190aaaa-0000-7000-8000-000000000009"},
        {"token": 512},
        {"attempt": 2},
        {"key": "other"},
        {"expires_at_ms": 1 << 61},
        {"queue": "dev.dc1"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_altered_message_is_refused(worker: Worker, change: dict[str, Any]) -> None:
    original = fresh()
    altered = replace(original, **change)
    head = header(altered, sign(KEY, original))
    worker.refused(lambda: worker.deliver(altered, head=head), Refusal.ALTERED)


def test_a_message_of_another_task_does_not_run_as_this_one(worker: Worker) -> None:
    worker.refused(lambda: worker.deliver(fresh(task="canary.fail")), Refusal.ALTERED)


def test_a_message_in_another_queue_than_its_own_is_refused(worker: Worker) -> None:
    moved = {"routing_key": "udm"}
    worker.refused(lambda: worker.deliver(fresh(), delivery_info=moved), Refusal.WRONG_QUEUE)


def test_a_message_pinned_to_another_site_is_refused_whatever_it_says(worker: Worker) -> None:
    worker.refused(lambda: worker.deliver(fresh(queue="dev.dc2")), Refusal.WRONG_QUEUE)


def test_an_expired_message_is_refused(worker: Worker) -> None:
    old = fresh(expires_at_ms=now_ms() - 1)
    worker.refused(lambda: worker.deliver(old), Refusal.EXPIRED)


def test_a_message_from_the_future_is_refused(worker: Worker) -> None:
    early = fresh(issued_at_ms=now_ms() + CLOCK_SKEW_MS + 60_000, expires_at_ms=1 << 60)
    worker.refused(lambda: worker.deliver(early), Refusal.FROM_THE_FUTURE)


@pytest.mark.parametrize("run_id", ["\ud800", "a\0b", "x" * 10_000, "", "é"])
def test_whatever_a_forged_message_calls_itself_is_written_down(
    worker: Worker, run_id: str
) -> None:
    worker.refused(lambda: worker.deliver(fresh(), head={}, id=run_id), Refusal.UNSIGNED)
    (entry,) = worker.box.entries.after(0, 1)
    assert len(entry.run_id) <= 64
    assert entry.run_id.isascii()
    assert "\0" not in entry.run_id
