"""One execution of a task on a worker: check, claim, run, write down, then acknowledge."""

import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from billiard.exceptions import SoftTimeLimitExceeded
from celery.exceptions import Reject

from fleet.policy.contracts import ResultPlace, TaskContract
from fleet.policy.envelope import Envelope, Refusal, judge, read
from fleet.policy.errors import Blame, ErrorRecord, FleetError, StorageError
from fleet.policy.json_values import without_nul
from fleet.policy.routing import split_queue
from tasks.box import Box, own_box
from tasks.context import CurrentRun, set_current_run
from tasks.intake import IntakeFile, IntakeGate
from tasks.journal import ClaimResult, ClaimVerdict
from tasks.results import keep
from tasks.signing import is_valid
from tasks.wire import Outcome, OutcomeStatus

if TYPE_CHECKING:
    from tasks.base import FleetTask

TRACEBACK_CHARS = 4000
MESSAGE_CHARS = 2000
#: How long the outcome of a finished task is offered to a journal that cannot be written.
WRITE_WITHIN_S = 10.0
WRITE_PAUSE_S = 0.5
EX_IOERR = 74  # of sysexits.h
_pause = threading.Event()
#: A forged message may carry anything as its id; this much of it is shown, in ASCII.
ID_CHARS = 64


class RetryRequestedError(FleetError):
    """A task called `self.retry()`: a transient failure with a delay of its own choice."""

    transient = True

    def __init__(
        self, cause: BaseException | None, countdown_s: float | None, eta: datetime | None
    ) -> None:
        super().__init__(f"asked for another attempt: {cause}" if cause else "asked for another")
        if eta is not None:
            countdown_s = max(0.0, (eta - datetime.now(UTC)).total_seconds())
        self.delay_s = countdown_s


class TaskFailedError(Exception):
    """Shown to Celery (and so to Flower) for a failed attempt; the journal has the details."""


@dataclass(frozen=True, slots=True)
class _Execution:
    box: Box
    envelope: Envelope
    contract: TaskContract
    worker_id: str


def execute(task: "FleetTask", args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Run one delivered attempt. Called directly, outside a worker, it is a plain call."""
    request = task.request
    if request.called_directly:
        return task.run(*args, **kwargs)
    box = own_box()
    _respect_intake(box)
    execution = _admit(box, task, request, args, kwargs)
    _claim(execution)
    outcome, shown = _run(execution, task)
    _write_down(execution, outcome)
    if outcome.status is OutcomeStatus.FAILED:
        raise TaskFailedError(shown)
    return shown


def _respect_intake(box: Box) -> None:
    """A standby's worker starts nothing outside its lease, also what it had taken before."""
    if not box.settings.standby:
        return
    gate = IntakeGate(IntakeFile(box.settings.state_dir), slots=1, standby=True, busy=lambda: 0)
    refusal = gate.refusal()
    if refusal:
        raise Reject(f"not run: {refusal}", requeue=True)


def _admit(
    box: Box, task: "FleetTask", request: Any, args: Sequence[Any], kwargs: dict[str, Any]
) -> _Execution:
    """Verify the envelope before anything else; what fails is recorded and never executed."""
    worker_id = str(request.hostname)
    received = read(task.name, str(request.id), args, kwargs, request.get("turtle"))
    if isinstance(received, Refusal):
        _refuse(box, received, task.name, str(request.id), worker_id)
    envelope, signature = received
    refusal = _judge(box, envelope, signature, request)
    if task.contract is None or refusal is not None:
        _refuse(box, refusal or Refusal.MALFORMED, task.name, str(request.id), worker_id)
    return _Execution(box, envelope, task.contract, worker_id)


def _judge(box: Box, envelope: Envelope, signature: str, request: Any) -> Refusal | None:
    home = box.settings.homes.get(envelope.home)
    if split_queue(envelope.queue)[1] not in (None, box.settings.site):
        # What the message says of its queue was written by whoever put it there.
        return Refusal.WRONG_QUEUE
    return judge(
        envelope,
        signature_valid=home is not None and is_valid(home.public_key, envelope, signature),
        homes=box.settings.homes,
        delivered_from=str((request.delivery_info or {}).get("routing_key")),
        now_ms=time.time_ns() // 1_000_000,
    )


def _refuse(box: Box, refusal: Refusal, task: str, run_id: str, worker_id: str) -> NoReturn:
    box.entries.record_refusal(
        datetime.now(UTC),
        run_id=ascii(run_id)[1:-1][:ID_CHARS],
        task=task,
        worker_id=worker_id,
        payload={"refusal": refusal.value},
    )
    box.ring_agent()
    raise Reject(f"refused: {refusal.value}", requeue=False)


def _claim(execution: _Execution) -> None:
    box, envelope = execution.box, execution.envelope
    try:
        result = box.claims.claim(
            envelope, execution.contract.effect, execution.worker_id, datetime.now(UTC)
        )
    except StorageError as error:
        # Not requeued here: its home finds it missing and publishes it again, at a calmer pace.
        box.report_trouble(str(error))
        raise Reject(str(error), requeue=False) from error
    if result.verdict is ClaimVerdict.CLAIMED:
        box.ring_agent()
        return
    if result.verdict is not ClaimVerdict.DONE:
        _record_repeat(execution, result)
    box.ring_agent()
    raise Reject(f"not run: {result.verdict.value}; {result.reason}", requeue=False)


def _record_repeat(execution: _Execution, result: ClaimResult) -> None:
    """A copy of a message that was seen before: the broker's, or somebody's who kept one."""
    execution.box.entries.record_refusal(
        datetime.now(UTC),
        run_id=execution.envelope.id,
        token=execution.envelope.token,
        task=execution.envelope.task,
        worker_id=execution.worker_id,
        payload={
            "refusal": Refusal.REPLAYED.value,
            "detail": f"{result.verdict.value}; {result.reason}",
        },
    )


def _run(execution: _Execution, task: "FleetTask") -> tuple[Outcome, str]:
    """Run the function; returns the outcome and what Celery's events may show of it."""
    envelope, place = execution.envelope, execution.contract.result
    started = time.monotonic()
    set_current_run(
        CurrentRun(
            run_id=envelope.id,
            token=envelope.token,
            attempt=envelope.attempt,
            task=envelope.task,
            key=envelope.key,
        )
    )
    try:
        returned = task.run(*envelope.args, **envelope.kwargs)
        kept = keep(execution.box.settings, envelope.id, place, returned)
    except Exception as error:  # the boundary of a task: whatever it raised is its outcome
        record = describe(error, place)
        delay_s = error.delay_s if isinstance(error, RetryRequestedError) else None
        outcome = Outcome(
            status=OutcomeStatus.FAILED,
            error=asdict(record),
            asked_delay_s=delay_s,
            duration_s=time.monotonic() - started,
        )
        return outcome, f"{record.kind}: {record.message}"
    finally:
        set_current_run(None)
    outcome = Outcome(
        status=OutcomeStatus.SUCCESSFUL,
        return_value=kept.value,
        result_meta=kept.meta,
        duration_s=time.monotonic() - started,
    )
    return outcome, str(kept.meta["summary"] if kept.meta else kept.value)[:200]


def _write_down(execution: _Execution, outcome: Outcome) -> None:
    """Write the outcome. A journal that cannot take it for a while ends this process: the claim
    is then that of a lost worker, and the task's effect class decides."""
    box = execution.box
    deadline = time.monotonic() + WRITE_WITHIN_S
    while True:
        try:
            box.claims.finish(execution.envelope, outcome, execution.worker_id, datetime.now(UTC))
        except StorageError as error:
            box.report_trouble(str(error))
            if time.monotonic() > deadline:
                raise SystemExit(EX_IOERR) from error
            _pause.wait(WRITE_PAUSE_S)
        else:
            break
    box.ring_agent()


def describe(error: BaseException, place: ResultPlace) -> ErrorRecord:
    """An exception as it is stored and shown; of a local task only its kind leaves the site."""
    cause = error.__cause__ if isinstance(error, RetryRequestedError) else None
    shown = cause or error
    blame, transient = _blame(error)
    if place is ResultPlace.LOCAL:
        return ErrorRecord(
            kind=type(shown).__name__, message="kept at the site", blame=blame, transient=transient
        )
    frames = "".join(traceback.format_exception(shown)[-12:])
    return ErrorRecord(
        kind=type(shown).__name__,
        message=without_nul(str(shown))[:MESSAGE_CHARS],
        blame=blame,
        transient=transient,
        traceback="" if isinstance(shown, FleetError) else without_nul(frames)[-TRACEBACK_CHARS:],
    )


def _blame(error: BaseException) -> tuple[Blame, bool]:
    if isinstance(error, FleetError):
        return error.blame, error.transient
    if isinstance(error, ConnectionError | TimeoutError):
        return Blame.NETWORK, True
    if isinstance(error, SoftTimeLimitExceeded):
        return Blame.THEIRS, False
    return Blame.OURS, False
