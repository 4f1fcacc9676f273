"""One page of the list of runs, by the same filters and cursor as the API's."""

from dataclasses import dataclass
from datetime import datetime

from fleet.api.selection import RunFilters, after_cursor, cursor_of, matching
from fleet.views.facts.fleet import broker_view
from fleet.views.facts.runs import RunRow, for_list, run_rows


@dataclass(frozen=True, slots=True)
class RunsPage:
    """`next_cursor` is None on the last page."""

    rows: tuple[RunRow, ...]
    next_cursor: str | None


def runs_page(filters: RunFilters, now: datetime) -> RunsPage:
    """Newest first; raises ParameterError for a broken cursor."""
    ordered = after_cursor(matching(filters), filters.cursor).order_by("-enqueued_at", "-id")
    runs = list(for_list(ordered)[: filters.limit + 1])
    shown = runs[: filters.limit]
    more = cursor_of(shown[-1]) if len(runs) > filters.limit else None
    return RunsPage(run_rows(shown, broker_view(), now), more)
