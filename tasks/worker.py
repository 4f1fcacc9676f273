"""What a worker does when it starts: chooses its queues, signs in at its box's journal."""

import logging
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Any

from celery.signals import celeryd_after_setup, worker_ready
from celery.worker import state
from celery.worker.request import Request

from fleet.policy import routing
from fleet.policy.envelope import Refusal, read
from fleet.policy.errors import Blame, ErrorRecord, FleetError, StorageError
from tasks.app import app
from tasks.box import own_box
from tasks.gather import GatherEvents
from tasks.intake import IntakeFile, IntakeGate
from tasks.journal.processes import own_process
from tasks.journal.tables import WorkerRow
from tasks.settings import settings
from tasks.transport import use_gate, use_refuser
from tasks.version import package_version
from tasks.wire import Outcome, OutcomeStatus

log = logging.getLogger(__name__)
app.steps["consumer"].add(GatherEvents)


@celeryd_after_setup.connect  # type: ignore[untyped-decorator]
def choose_queues(sender: str, instance: Any, **_: Any) -> None:
    """Without `-Q` a worker serves the queues of the capabilities of its box."""
    capabilities = settings().capabilities
    if not capabilities:
        log.critical(
            "this box declares no capabilities; write for example\n"
            '  capabilities = ["dev"]\ninto turtle.toml, or set TURTLE_CAPABILITIES=\'["dev"]\''
        )
        sys.exit(78)
    queues = instance.app.amqp.queues
    if queues._consume_from is None:  # nothing was chosen with -Q
        queues.select(routing.queues_of_worker(capabilities, settings().site))
    use_gate(_gate(int(instance.concurrency or 1)))
    use_refuser(partial(_refuse_rubbish, worker_id=str(instance.hostname)))


def _gate(slots: int) -> IntakeGate:
    return IntakeGate(
        IntakeFile(settings().state_dir),
        slots=slots,
        standby=settings().standby,
        busy=lambda: len(state.reserved_requests),
    )


def _refuse_rubbish(queue: str, detail: str, *, worker_id: str) -> None:
    """A message that nobody of the fleet can have written."""
    log.error("refused: a message in %s cannot be read: %s", queue, detail)
    try:
        own_box().entries.record_refusal(
            datetime.now(UTC),
            worker_id=worker_id,
            payload={"refusal": Refusal.MALFORMED.value, "detail": f"in {queue}: {detail}"[:300]},
        )
    except StorageError as error:
        own_box().report_trouble(str(error))
    own_box().ring_agent()


@worker_ready.connect  # type: ignore[untyped-decorator]
def sign_in(sender: Any, **_: Any) -> None:
    """Write this worker into the journal, where the agent finds it."""
    controller = sender.controller
    pid, started = own_process()
    row = WorkerRow(
        id=str(controller.hostname),
        pid=pid,
        process_started=started,
        capabilities=list(settings().capabilities),
        queues=sorted(controller.app.amqp.queues.consume_from),
        slots=int(controller.concurrency),
        version=package_version(),
        started_at=datetime.now(UTC),
    )
    try:
        own_box().workers.sign_in(row)
    except (StorageError, FleetError) as error:
        log.critical("cannot start: %s", error)
        sys.exit(78)
    own_box().ring_agent()


class FleetRequest(Request):  # type: ignore[misc]
    """Celery's request, which also writes down what its main process alone gets to know."""

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """The pool killed the process at the hard time limit: that is how the attempt ended."""
        super().on_timeout(soft, timeout)
        if not soft:
            record = ErrorRecord(
                kind="TimeLimitExceeded",
                message=f"ended at its time limit of {timeout:.0f} s",
                blame=Blame.THEIRS,
                transient=False,
            )
            _finish_as_failed(self, record)


def _finish_as_failed(request: Request, record: ErrorRecord) -> None:
    args, kwargs, _ = request.message.payload
    received = read(
        request.task_name, request.id, args, kwargs, request._request_dict.get("turtle")
    )
    if isinstance(received, Refusal):
        return
    outcome = Outcome(status=OutcomeStatus.FAILED, error=asdict(record))
    box = own_box()
    box.claims.finish(received[0], outcome, str(request.hostname), datetime.now(UTC))
    box.ring_agent()
