"""What a worker does with one delivered message: check, claim, run, write down."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from celery.exceptions import Reject
from sqlalchemy import event

from fleet.policy.contracts import ResultPlace
from fleet.policy.envelope import Refusal
from fleet.policy.errors import NetworkError, StorageError, TheirError
from tasks import canary
from tasks.box import Box
from tasks.context import current_run
from tasks.execute import TaskFailedError
from tasks.wire import EntryKind, OutcomeStatus
from tests.tasks.envelopes import RUN
from tests.tasks.paper import quick_folder
from tests.tasks.paper_worker import Worker, box_in, fresh


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    with quick_folder() as folder:
        made = Worker(box_in(folder))
        monkeypatch.setattr("tasks.execute.own_box", lambda: made.box)
        monkeypatch.setattr(canary.echo, "run", made.run)
        yield made
        made.box.database.close()


def test_a_good_message_is_claimed_run_and_written_down(worker: Worker) -> None:
    assert worker.deliver(fresh(args=["hello"])) == "hello"
    assert worker.ran == ["hello"]
    assert worker.kinds() == [EntryKind.CLAIMED, EntryKind.FINISHED]
    outcome = worker.outcome()
    assert (outcome.status, outcome.return_value) == (OutcomeStatus.SUCCESSFUL, "hello")
    assert (outcome.error, outcome.result_meta) == (None, None)
    assert 0 <= outcome.duration_s < 60


def test_the_task_knows_its_run_while_it_runs_and_not_after(worker: Worker) -> None:
    seen: list[Any] = []
    worker.work = lambda _: seen.append(current_run())
    worker.deliver(fresh(token=512, attempt=2, key="key 1"))
    (run,) = seen
    assert (run.run_id, run.token, run.attempt, run.task) == (RUN, 512, 2, "canary.echo")
    assert run.key == "key 1"
    assert current_run() is None


def test_a_plain_call_needs_no_message(worker: Worker) -> None:
    assert canary.echo(5) == 5
    assert worker.kinds() == []


def test_the_same_message_again_does_not_run_again_and_reports_the_outcome_again(
    worker: Worker,
) -> None:
    sent = fresh()
    worker.deliver(sent)
    with pytest.raises(Reject, match="done with this very token") as reject:
        worker.deliver(sent)
    assert not reject.value.requeue
    assert worker.ran == [1]
    entries = worker.box.entries.after(2, 100)
    assert [entry.kind for entry in entries[:2]] == [EntryKind.CLAIMED, EntryKind.FINISHED]
    assert entries[2].payload["refusal"] == Refusal.REPLAYED.value


def test_an_older_token_does_not_run(worker: Worker) -> None:
    worker.work = lambda _: (_ for _ in ()).throw(NetworkError("no answer"))
    with pytest.raises(TaskFailedError):
        worker.deliver(fresh(token=512))
    with pytest.raises(Reject, match="token not newer"):
        worker.deliver(fresh(token=256))
    assert worker.ran == [1]


def test_a_newer_attempt_of_a_successful_run_is_answered_and_not_run(worker: Worker) -> None:
    worker.deliver(fresh())
    with pytest.raises(Reject, match="already done here"):
        worker.deliver(fresh(token=512, attempt=2))
    assert worker.ran == [1]
    assert [e.token for e in worker.box.entries.after(2, 10)] == [512, 512]
    assert worker.outcome().return_value == 1


def raising(error: BaseException) -> Callable[[Any], Any]:
    def work(_: Any) -> Any:
        raise error

    return work


FAILURES: list[tuple[BaseException, dict[str, Any]]] = [
    (NetworkError("no answer"), {"kind": "NetworkError", "blame": "network", "transient": True}),
    (TheirError("it said no"), {"kind": "TheirError", "blame": "theirs", "transient": False}),
    (ConnectionResetError("gone"), {"blame": "network", "transient": True}),
    (TimeoutError("slow"), {"blame": "network", "transient": True}),
    (ValueError("a bug"), {"kind": "ValueError", "blame": "ours", "transient": False}),
    (SoftTimeLimitExceeded(), {"blame": "theirs", "transient": False}),
]


@pytest.mark.parametrize(("error", "record"), FAILURES, ids=lambda x: type(x).__name__)
def test_a_failure_is_an_outcome_with_its_blame(
    worker: Worker, error: BaseException, record: dict[str, Any]
) -> None:
    worker.work = raising(error)
    with pytest.raises(TaskFailedError, match=type(error).__name__):
        worker.deliver(fresh())
    outcome = worker.outcome()
    assert outcome.status is OutcomeStatus.FAILED
    assert outcome.error is not None
    assert outcome.error | record == outcome.error
    assert outcome.error["message"] == str(error)
    assert outcome.asked_delay_s is None
    assert worker.box.claims.running() == []


def test_a_bug_is_written_down_with_its_last_frames(worker: Worker) -> None:
    worker.work = raising(ValueError("a bug"))
    with pytest.raises(TaskFailedError):
        worker.deliver(fresh())
    error = worker.outcome().error or {}
    assert "in work" in error["traceback"]
    assert len(error["traceback"]) <= 4000


@pytest.mark.parametrize(
    ("options", "delay_s"), [({"countdown": 7}, 7.0), ({}, None), ({"countdown": 0}, 0.0)]
)
def test_a_task_that_asks_for_another_try_says_when(
    worker: Worker, options: dict[str, Any], delay_s: float | None
) -> None:
    cause = ValueError("busy")
    worker.work = lambda _: canary.echo.retry(exc=cause, **options)
    with pytest.raises(TaskFailedError):
        worker.deliver(fresh())
    outcome = worker.outcome()
    assert outcome.asked_delay_s == delay_s
    assert outcome.error is not None
    assert (outcome.error["kind"], outcome.error["message"]) == ("ValueError", "busy")
    assert outcome.error["transient"]


def test_a_result_that_is_no_json_is_a_failure(worker: Worker) -> None:
    worker.work = lambda _: object()
    with pytest.raises(TaskFailedError, match="not JSON"):
        worker.deliver(fresh())
    assert worker.outcome().status is OutcomeStatus.FAILED


@contextmanager
def local_task() -> Iterator[None]:
    usual = canary.echo.contract
    assert usual is not None
    canary.echo.contract = replace(usual, result=ResultPlace.LOCAL)
    try:
        yield
    finally:
        canary.echo.contract = usual


def test_of_a_local_task_neither_result_nor_error_text_is_written_down(worker: Worker) -> None:
    with local_task():
        shown = worker.deliver(fresh(args=["secret"]))
        worker.work = raising(ValueError("secret"))
        with pytest.raises(TaskFailedError) as failed:
            worker.deliver(fresh(args=["secret"], id="another run"))
    assert "secret" not in shown
    assert "secret" not in str(failed.value)
    lines = [entry.model_dump_json() for entry in worker.box.entries.after(0, 100)]
    assert len(lines) == 4
    assert not any("secret" in line for line in lines)
    kept = worker.box.settings.state_dir / "results" / f"{RUN}.json"
    assert kept.read_text() == '"secret"'


def test_a_journal_that_cannot_be_written_keeps_the_task_from_running(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    broken = Box(worker.box.settings.model_copy(update={"state_dir": tmp_path / "file" / "state"}))
    monkeypatch.setattr("tasks.execute.own_box", lambda: broken)
    with pytest.raises(Reject, match=r"journal .*file/state") as reject:
        worker.deliver(fresh())
    assert not reject.value.requeue
    assert worker.ran == []


def test_an_outcome_that_cannot_be_written_ends_the_process_with_its_claim_open(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent then sees a claim whose process is gone, and the effect class decides."""
    monkeypatch.setattr("tasks.execute.WRITE_WITHIN_S", 0.0)

    def fill(_: Any) -> None:
        engine = worker.box.database.engine()
        event.listen(engine, "before_cursor_execute", out_of_space)

    def out_of_space(*arguments: Any) -> None:
        if str(arguments[2]).startswith("UPDATE claim"):
            raise OSError(28, "No space left on device")

    worker.work = fill
    with pytest.raises(SystemExit) as ended:
        worker.deliver(fresh())
    assert isinstance(ended.value.__cause__, StorageError)
    event.remove(worker.box.database.engine(), "before_cursor_execute", out_of_space)
    assert [row["token"] for row in worker.box.claims.running()] == [256]
    assert worker.kinds() == [EntryKind.CLAIMED]
