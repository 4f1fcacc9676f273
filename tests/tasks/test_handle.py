"""Handles: what Celery's callers ask of a result is answered by the home of the run."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import AsyncResult

from fleet.policy.errors import RefusedError
from fleet.policy.states import IllegalTransitionError, RunEvent, RunStatus
from tasks import canary
from tasks.app import app
from tasks.box import Box
from tasks.handle import RunFailedError, RunHandle
from tests.tasks.home_rows import happen, only_row

pytestmark = pytest.mark.usefixtures("program")


def test_a_handle_tells_status_and_result_as_the_home_has_them(box: Box) -> None:
    handle = canary.echo.delay("x")
    with pytest.raises(CeleryTimeoutError, match="is READY after 0"):
        handle.get(timeout=0)
    happen(box, handle, RunEvent.CLAIM)
    assert (handle.status, handle.ready()) == (RunStatus.RUNNING, False)
    happen(box, handle, RunEvent.SUCCEED, return_value={"a": 1})
    assert handle.get(timeout=0) == {"a": 1}
    assert (handle.ready(), handle.successful(), handle.failed()) == (True, True, False)


def test_a_failed_run_raises_its_error_when_it_is_got(box: Box) -> None:
    handle = canary.echo.delay("x")
    happen(box, handle, RunEvent.CLAIM)
    happen(box, handle, RunEvent.FAIL, error={"kind": "TheirError", "message": "no"})
    with pytest.raises(RunFailedError, match="TheirError: no") as failed:
        handle.get(timeout=0)
    assert failed.value.status is RunStatus.FAILED
    assert (handle.failed(), handle.successful()) == (True, False)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: canary.echo.apply(("x",)), r"canary\.echo: apply\(\) .*use \.delay\(\)"),
        (lambda: canary.echo.map(["x"]).delay(), r"celery\.map .*enqueue_many\(task\.s\("),
        (lambda: canary.echo.chunks([("x",)], 1).apply_async(), r"celery\.starmap .*enqueue_many"),
    ],
)
def test_what_celery_would_run_without_a_run_of_its_own_is_refused_with_the_way_out(
    call: Callable[[], Any], words: str
) -> None:
    with pytest.raises(RefusedError, match=words):
        call()


def as_celery(handle: RunHandle) -> AsyncResult:
    """The same run for code that knows Celery only."""
    return AsyncResult(handle.id)


def test_a_run_that_has_not_finished_has_no_result_and_no_traceback(box: Box) -> None:
    handle = canary.echo.delay("x")
    assert (handle.result, handle.info, handle.traceback) == (None, None, None)
    assert as_celery(handle).status == "PENDING"
    happen(box, handle, RunEvent.CLAIM)
    assert (handle.result, as_celery(handle).status) == (None, "STARTED")
    assert not as_celery(handle).ready()


def test_the_result_of_a_run_is_where_celery_has_it(box: Box) -> None:
    handle = canary.echo.delay("x")
    happen(box, handle, RunEvent.CLAIM)
    happen(box, handle, RunEvent.SUCCEED, return_value={"a": 1})
    assert handle.result == handle.info == {"a": 1}
    assert handle.children == []
    plain = as_celery(handle)
    assert (plain.status, plain.result, plain.successful()) == ("SUCCESS", {"a": 1}, True)
    assert plain.get(timeout=1) == {"a": 1}


def test_the_error_of_a_run_is_where_celery_has_it(box: Box) -> None:
    handle = canary.echo.delay("x")
    happen(box, handle, RunEvent.CLAIM)
    error = {"kind": "TheirError", "message": "no", "traceback": "Traceback ..."}
    happen(box, handle, RunEvent.FAIL, error=error)
    assert isinstance(handle.result, RunFailedError)
    assert (str(handle.result), handle.traceback) == ("TheirError: no", "Traceback ...")
    assert as_celery(handle).status == "FAILURE"
    for result in (handle, as_celery(handle)):
        with pytest.raises(RunFailedError, match="TheirError: no"):
            result.maybe_throw()
    with pytest.raises(RunFailedError, match="TheirError: no"):
        as_celery(handle).get(timeout=1)


def test_a_cancelled_run_is_revoked_in_the_words_of_celery() -> None:
    handle = canary.echo.delay("x")
    handle.cancel()
    assert as_celery(handle).status == "REVOKED"


def test_a_run_cannot_be_forgotten(box: Box) -> None:
    handle = canary.echo.delay("x")
    for result in (handle, as_celery(handle)):
        with pytest.raises(RefusedError, match=rf"run {handle.id} cannot be forgotten"):
            result.forget()
    assert only_row(box)["status"] == "READY"


@pytest.mark.parametrize("look", [lambda r: r.status, lambda r: r.result, lambda r: r.cancel()])
def test_a_run_that_the_journal_does_not_know_is_told(look: Callable[[Any], Any]) -> None:
    with pytest.raises(RefusedError, match=r"the journal of dc1 has no run 'none'"):
        look(app.AsyncResult("none"))


def test_a_run_is_cancelled_by_its_handle_once(box: Box) -> None:
    handle = canary.echo.delay("x")
    handle.cancel()
    assert handle.status is RunStatus.CANCELLED
    assert box.entries.after(1, 10)[0].payload["event"]["event"] == "cancel"
    with pytest.raises(IllegalTransitionError):
        handle.cancel()


def test_a_retry_of_an_expired_run_does_not_expire_again(box: Box) -> None:
    handle = canary.echo.apply_async(("x",), expires=datetime(2031, 1, 1, tzinfo=UTC))
    happen(box, handle, RunEvent.EXPIRE)
    happen(box, handle, RunEvent.RETRY)
    row = only_row(box)
    assert (row["status"], row["expires_at"], row["finished_at"]) == ("READY", None, None)
