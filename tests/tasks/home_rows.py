"""What the journal of a box holds of its home's runs, and what may happen to one."""

from typing import Any

from sqlalchemy import select

from fleet.policy.states import RunEvent
from tasks.box import Box
from tasks.handle import RunHandle
from tasks.home.journal_rows import move
from tasks.journal.tables import HomeRunRow
from tests.tasks.envelopes import NOW


def rows(box: Box) -> list[dict[str, Any]]:
    """All runs, in their order."""
    table = HomeRunRow.__table__  # type: ignore[attr-defined]
    with box.database.read() as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def only_row(box: Box) -> dict[str, Any]:
    """The one run; fails where there is another number of them."""
    (row,) = rows(box)
    return row


def happen(box: Box, handle: RunHandle, event: RunEvent, **changes: Any) -> None:
    """Move the run of a handle, as its home would."""
    with box.database.write() as connection:
        row = next(row for row in rows(box) if row["run_id"] == handle.id)
        assert move(connection, row, event, NOW, "test", "test", **changes)
