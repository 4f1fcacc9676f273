"""Changing a site's own run: a compare-and-set, with its mirror line in the same transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from fleet.policy.contracts import ResultPlace
from fleet.policy.states import ATTEMPT_AFTER, FINISHED, RunEvent, RunStatus, advance
from tasks.journal.entries import append
from tasks.journal.tables import HomeRunRow
from tasks.wire import EntryKind

_ROW = HomeRunRow.__table__.c  # type: ignore[attr-defined]
REASON_CHARS = 300
#: What the control plane is shown of the arguments of a task whose data stays at the site.
KEPT = "kept at the site"
_AGAIN = {"run_after": None, "expires_at": None, "error": None}


def move(
    connection: Connection,
    row: Mapping[Any, Any],
    event: RunEvent,
    now: datetime,
    why: str,
    who: str,
    **changes: Any,
) -> bool:
    """Apply `event` in the caller's transaction; False if the row has changed since.

    Raises IllegalTransitionError when the table has no such step.
    """
    before = RunStatus(row["status"])
    after = advance(before, event)
    same = update(HomeRunRow).where(
        _ROW.run_id == row["run_id"],
        _ROW.status == before.value,
        _ROW.token == row["token"],
    )
    reason = why[:REASON_CHARS]
    values = {"status": after.value, "reason": reason, **_follows(event, after, now), **changes}
    if not connection.execute(same.values(**values)).rowcount:
        return False
    happened = {"event": event.value, "from_status": before.value, "to_status": after.value}
    mirror(
        connection,
        row["run_id"],
        now,
        {**happened, "why": reason, "who": who, "at": now.isoformat()},
    )
    return True


def _follows(event: RunEvent, after: RunStatus, now: datetime) -> dict[str, Any]:
    """What else changes with an event."""
    again = _AGAIN if event is RunEvent.RETRY else {}
    return {**_ends(after, now), **_attempt(event), **again}


def _ends(after: RunStatus, now: datetime) -> dict[str, Any]:
    if after in FINISHED:
        return {"finished_at": now, "open_attempt": False}
    if after is RunStatus.READY:
        return {"finished_at": None, "open_attempt": False, "worker_id": ""}
    return {}


def _attempt(event: RunEvent) -> dict[str, Any]:
    status = ATTEMPT_AFTER.get(event)
    return {} if status is None else {"attempt_status": status.value}


def mirror(connection: Connection, run_id: str, now: datetime, event: Mapping[str, Any]) -> None:
    """Add the line that tells the control plane how the run is now."""
    row = (
        connection.execute(
            select(HomeRunRow.__table__).where(_ROW.run_id == run_id)  # type: ignore[attr-defined]
        )
        .mappings()
        .one()
    )
    append(
        connection,
        EntryKind.MIRROR,
        now,
        run_id=run_id,
        token=row["token"],
        attempt=row["attempts"],
        task=row["task"],
        payload={"run": _shown(row), "event": dict(event)},
    )


def _shown(row: Mapping[Any, Any]) -> dict[str, Any]:
    shown = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
        if name != "run_id"
    }
    if _stays_local(row["task"]):
        shown |= {"args": [KEPT], "kwargs": {}}
    return shown


def _stays_local(task: str) -> bool:
    from tasks.app import app

    contract = getattr(app.tasks.get(task), "contract", None)
    return contract is not None and contract.result is ResultPlace.LOCAL
