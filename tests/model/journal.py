"""What a site's journal answers to a claim: asked of the real one, kept as a table."""

import tempfile
from datetime import UTC, datetime
from functools import cache
from itertools import product
from pathlib import Path
from uuid import uuid4

from sqlalchemy import update

from fleet.policy.effects import EffectClass
from fleet.policy.envelope import Envelope
from tasks.journal.claims import Claims, ClaimVerdict
from tasks.journal.database import JournalDatabase
from tasks.journal.tables import ClaimRow
from tasks.wire import Outcome, OutcomeStatus

NOW = datetime(2026, 1, 1, tzinfo=UTC)
#: The row of a run in a journal.
RUNNING, SUCCEEDED, LOST, FAILED = range(4)

#: (row, its process lives, claim's token minus the row's: -1, 0 or 1, class) -> the answer.
ClaimTable = dict[tuple[int, bool, int, EffectClass], ClaimVerdict]


@cache
def claim_table() -> ClaimTable:
    """Every case, put before the journal that workers use."""
    cases = product(range(4), (False, True), (-1, 0, 1), EffectClass)
    with tempfile.TemporaryDirectory(prefix="turtle-model-") as folder:
        database = JournalDatabase(Path(folder))
        try:
            return {case: _answer(database, *case) for case in cases}
        finally:
            database.close()


def _answer(
    database: JournalDatabase, row: int, alive: bool, newer: int, effect: EffectClass
) -> ClaimVerdict:
    claims, run_id = Claims(database), str(uuid4())
    held = _envelope(run_id, 10)
    claims.claim(held, effect, "model", NOW)
    if row in (SUCCEEDED, FAILED):
        status = OutcomeStatus.SUCCESSFUL if row == SUCCEEDED else OutcomeStatus.FAILED
        claims.finish(held, Outcome(status=status), "model", NOW)
    if not alive or row == LOST:
        _end_process(database, run_id)
    if row == LOST:
        claims.lose_orphans(NOW)
    return claims.claim(_envelope(run_id, 10 + newer), effect, "model", NOW).verdict


def _end_process(database: JournalDatabase, run_id: str) -> None:
    """The row names a process that started at another time: it is gone."""
    with database.write() as connection:
        connection.execute(
            update(ClaimRow)
            .where(ClaimRow.__table__.c.run_id == run_id)  # type: ignore[attr-defined]
            .values(process_started=1.0)
        )


def _envelope(run_id: str, token: int) -> Envelope:
    return Envelope(
        task="model.task",
        id=run_id,
        queue="dev",
        args=[],
        kwargs={},
        home="control",
        token=token,
        attempt=token,
        key="",
        issued_at_ms=0,
        expires_at_ms=1,
    )
