"""Taking over a box's report: its journal's lines in order, then its heartbeat.

A report is one transaction. What was taken over before is skipped, a gap is refused, so that an
agent may send anything again at any time.
"""

from collections.abc import Callable
from datetime import datetime

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import DataError, IntegrityError, transaction

from fleet.ledger.heartbeat import take_heartbeat
from fleet.ledger.mirror import take_mirror
from fleet.ledger.outcomes import take_claim, take_loss, take_outcome
from fleet.ledger.refusals import take_refusal
from fleet.ledger.word import word_to
from fleet.models import Attempt, HomeMail, Journal, SecurityEvent, Site
from fleet.policy.errors import FleetError, RefusedError
from fleet.policy.routing import is_name
from fleet.policy.states import AttemptStatus
from fleet.policy.timing import TIMING
from tasks.wire import Ack, Entry, EntryKind, Mail, Report

MAIL_PER_REPORT = 200
#: What a line raises that makes no sense; pydantic's errors are ValueErrors.
NONSENSE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    ValidationError,
    ObjectDoesNotExist,
    DataError,
    IntegrityError,
)

_TAKE: dict[EntryKind, Callable[[Site, Entry], None]] = {
    EntryKind.CLAIMED: take_claim,
    EntryKind.FINISHED: take_outcome,
    EntryKind.LOST: take_loss,
    EntryKind.REFUSED: take_refusal,
    EntryKind.MIRROR: take_mirror,
}


class SequenceGapError(FleetError):
    """The report does not follow on what was taken over; `expected` is the next number."""

    def __init__(self, expected: int, got: int) -> None:
        super().__init__(f"expected line {expected} of the journal, got {got}; send from there")
        self.expected = expected


class ForeignSiteError(FleetError):
    """A report, or a journal, of another site."""


class ClockError(RefusedError):
    """The box's clock is too far from the control plane's."""


def ingest(site: Site, report: Report, now: datetime) -> Ack:
    """Commit a report; raises SequenceGapError, ForeignSiteError or ClockError, and nothing is
    written."""
    if report.site != site.pk:
        raise ForeignSiteError(f"this token reports for {site.pk}, not for {report.site!r}")
    if not is_name(report.box):
        raise ForeignSiteError(f"{report.box!r} is no name of a box")
    _check_clock(report, now)
    with transaction.atomic():
        journal = _journal(site, report)
        acked = journal.acked_seq
        if report.first_seq > acked + 1:
            raise SequenceGapError(acked + 1, report.first_seq)
        for entry in report.entries:
            if entry.seq == acked + 1:
                _take(site, entry)
                acked = entry.seq
            elif entry.seq > acked + 1:
                raise SequenceGapError(acked + 1, entry.seq)
        _see_claimed(report, now)
        take_heartbeat(site, journal, report.heartbeat, acked, now)
        HomeMail.objects.filter(site=site, pk__lte=report.mail_ack).delete()
        return Ack(ack=acked, mail=_mail(site), **(word_to(site, now) if report.heartbeat else {}))


def _check_clock(report: Report, now: datetime) -> None:
    """Envelopes carry times: a box far off would refuse good ones, or take expired ones."""
    if report.heartbeat is None:
        return
    ahead_s = (report.heartbeat.at - now).total_seconds()
    if abs(ahead_s) > TIMING.longest_clock_skew_s:
        where = "ahead of" if ahead_s > 0 else "behind"
        raise ClockError(
            f"the clock of {report.box} is {abs(ahead_s):.0f} s {where} the control plane's; "
            f"at most {TIMING.longest_clock_skew_s:.0f} s are accepted. Set it (chronyd or "
            "systemd-timesyncd); the reports wait in the journal until then."
        )


def _take(site: Site, entry: Entry) -> None:
    """A line that makes no sense must not hold up the lines behind it for ever."""
    try:
        with transaction.atomic():
            _TAKE[entry.kind](site, entry)
    except NONSENSE as error:
        SecurityEvent.objects.create(
            at=entry.at,
            site=site.pk,
            worker_id=_shown(entry.worker_id, 120),
            kind="malformed line",
            run_id=_shown(entry.run_id, 64),
            task=_shown(entry.task, 100),
            detail=_shown(f"line {entry.seq}, {entry.kind}: {error}", 300),
        )


def _shown(text: str, chars: int) -> str:
    """PostgreSQL stores no NUL."""
    return text.replace("\0", "?")[:chars]


def _see_claimed(report: Report, now: datetime) -> None:
    """A claim may be reported long after it was made; its lease counts from when it is heard of."""
    tokens = [e.token for e in report.entries if e.kind is EntryKind.CLAIMED]
    if tokens:
        Attempt.objects.filter(token__in=tokens, status=AttemptStatus.RUNNING).update(seen_at=now)


def _journal(site: Site, report: Report) -> Journal:
    journal, _ = Journal.objects.select_for_update().get_or_create(
        pk=report.journal, defaults={"site": site, "box": report.box}
    )
    if journal.site_id != site.pk:
        raise ForeignSiteError(f"journal {report.journal} belongs to {journal.site_id}")
    return journal


def _mail(site: Site) -> list[Mail]:
    rows = HomeMail.objects.filter(site=site).order_by("pk")[:MAIL_PER_REPORT]
    return [Mail(id=row.pk, kind=row.kind, payload=row.payload) for row in rows]
