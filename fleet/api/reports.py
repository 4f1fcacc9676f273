"""Reports of the agents: journal entries in sequence, heartbeats, and mail in the answer."""

import logging
from typing import Annotated

from django.utils import timezone
from ninja import Router
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from fleet.api.auth import ApiRequest, agent
from fleet.api.schemas import ProblemOut
from fleet.ledger.ingest import ForeignSiteError, ingest
from fleet.models import SecurityEvent
from tasks.wire import VERSION, Ack, Report

router = Router(auth=agent)
log = logging.getLogger("fleet.api")


def _known_version(v: int) -> int:
    if v != VERSION:
        raise PydanticCustomError(
            "version",
            "version {v} of reports is not known here; send version {known}",
            {"v": v, "known": VERSION},
        )
    return v


class ReportIn(Report):
    """A report in the version that this control plane reads."""

    v: Annotated[int, AfterValidator(_known_version)] = VERSION


@router.post(
    "",
    response={200: Ack, frozenset({401, 403, 409, 413, 422, 503}): ProblemOut},
    summary="Take in a report of a box",
)
def report(request: ApiRequest, payload: ReportIn) -> Ack:
    """A repeated report is answered like the first. 409 names the `expected` sequence number;
    403 means that the token speaks for another site.
    """
    site = request.auth.site
    if site is None or site.name != payload.site:
        _note_foreign(request.auth.who, payload)
        raise ForeignSiteError(f"{request.auth.who} may not report for {payload.site!r}")
    return ingest(site, payload, timezone.now())


def _note_foreign(who: str, payload: Report) -> None:
    log.warning("%s reported for the site %s", who, payload.site[:31])
    SecurityEvent.objects.create(
        at=timezone.now(),
        site=payload.site[:31],
        kind="foreign report",
        detail=f"{who} sent a report of box {payload.box}"[:300],
    )
