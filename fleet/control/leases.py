"""The activation lease in the ledger: asked for by a LAN, held by the standby machine."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from fleet.control.events import note
from fleet.models import ActivationLease, FleetState, Site, StandbyMonth
from fleet.policy import lease as rules
from fleet.policy.budget import Spent
from fleet.policy.certificate import Certificate, Refusal, Vote, certify
from fleet.policy.errors import RefusedError
from fleet.policy.lease import Answer, Ask, Lease, Own
from fleet.policy.matrix import Link, row_from_json
from fleet.policy.recovery import NEEDS_STANDBY, Stage
from fleet.policy.timing import Timing
from fleet.policy.verdict import Kind
from tasks.boot import boot_id, boot_s
from tasks.settings import settings

#: A judgement of the control loop that is older than this is nobody's.
JUDGED_WITHIN = timedelta(seconds=10)
#: Verdicts under which a site is still heard by the control plane on some path.
HEARD = frozenset(Kind) - {Kind.DOWN, Kind.SUSPECT, Kind.UNKNOWN, Kind.SELF_ISOLATED}


@dataclass(frozen=True, slots=True)
class Granted:
    """What the activator is told; `left_s` is how long the lease still runs."""

    answer: Answer
    left_s: float


def ask_lease(activator: Site, request: Ask, now: datetime, timing: Timing) -> Granted:
    """Grant, renew or refuse; a change is written down. Raises RefusedError for nonsense."""
    if request.down == activator.pk:
        raise RefusedError(f"{activator.pk} asks for a lease against itself")
    with transaction.atomic():
        row, _ = ActivationLease.objects.select_for_update().get_or_create(pk=1)
        subject = Site.objects.filter(pk=request.down).first()
        if subject is None:
            raise RefusedError(f"there is no site {request.down!r}")
        epoch = _epoch()
        own = _own(activator, subject, now)
        answer = _vetoed(activator, request, subject, row, own, epoch, timing) or rules.ask(
            lease_of(row),
            request,
            own,
            now_s=boot_s(),
            boot_id=boot_id(),
            epoch=epoch,
            spent=_spent(row, now, timing),
            confirmed_by_person=bool(row.confirmed_by),
            timing=timing,
        )
        if answer.granted:
            _store(row, answer, now, activator.pk)
    return Granted(
        answer, rules.left_s(answer.lease, now_s=boot_s(), boot_id=boot_id(), timing=timing)
    )


def lease_of(row: ActivationLease) -> Lease:
    """The row as the policy knows it."""
    return Lease(
        generation=row.generation,
        activator=row.activator,
        down=row.down,
        epoch=row.epoch,
        granted_s=row.granted_s,
        boot_id=row.boot_id,
    )


def current_lease() -> Lease:
    """The lease as the ledger has it, live or over."""
    row = ActivationLease.objects.filter(pk=1).first()
    return lease_of(row) if row else Lease()


def is_live(lease: Lease, timing: Timing) -> bool:
    """Whether the standby may still believe that it holds the lease."""
    return not rules.is_free(lease, now_s=boot_s(), boot_id=boot_id(), timing=timing)


def promised_s(timing: Timing) -> tuple[int, float]:
    """Generation, and the seconds that may be promised to the standby now."""
    lease = current_lease()
    return lease.generation, rules.left_s(lease, now_s=boot_s(), boot_id=boot_id(), timing=timing)


def _own(activator: Site, subject: Site, now: datetime) -> Own:
    """What the control loop itself judged of both, if it did so just now."""
    kind = _judged(subject, now)
    return Own(
        kind_of_down=kind,
        confirmed=kind is Kind.DOWN,
        hears_activator=_judged(activator, now) in HEARD,
        hears_down=kind in HEARD or _hears(subject),
        ramping=kind is not Kind.DOWN and _comes_back(subject),
    )


def _comes_back(site: Site) -> bool:
    """Whether the standby still carries a part of what the site will take over."""
    return bool(site.recovery) and Stage(site.recovery) in NEEDS_STANDBY


def _hears(subject: Site) -> bool:
    """Whether the control plane's own row says that it hears the site on any path, be it in one
    direction only: against a site that is heard there is no certificate."""
    own = Site.objects.filter(pk=settings().site).first()
    if own is None or not own.row:
        return False
    word = row_from_json(json.loads(own.row["row"])).heard.get(subject.pk)
    return word is not None and (word.heard or bool(word.https))


def _judged(site: Site, now: datetime) -> Kind:
    fresh = site.verdict_at is not None and now - site.verdict_at <= JUDGED_WITHIN
    return Kind(site.verdict) if fresh and site.verdict else Kind.UNKNOWN


def _vetoed(
    activator: Site,
    request: Ask,
    subject: Site,
    row: ActivationLease,
    own: Own,
    epoch: int,
    timing: Timing,
) -> Answer | None:
    """A new lease needs a certificate: two sites that hear each other and agree."""
    if own.ramping or _renews(activator, request, row, timing):
        return None
    votes = (
        Vote(
            site=activator.pk,
            subject=subject.pk,
            kind=Kind.DOWN,
            row_seq=0,
            age_s=request.evidence_age_s,
        ),
        Vote(site=settings().site, subject=subject.pk, kind=own.kind_of_down, row_seq=0, age_s=0.0),
    )
    link = Link.UP if own.hears_activator else Link.DOWN
    found = certify(
        subject.pk, votes, link, epoch, timing, control=settings().site, issued=_issued(row)
    )
    if isinstance(found, Refusal):
        return Answer(granted=False, lease=lease_of(row), reason=found.reason)
    return None


def _renews(activator: Site, request: Ask, row: ActivationLease, timing: Timing) -> bool:
    """Whether the lease in question lives; one that has run out needs a new certificate."""
    held = lease_of(row)
    same = (held.activator, held.down, held.generation) == (
        activator.pk,
        request.down,
        request.generation,
    )
    return same and rules.left_s(held, now_s=boot_s(), boot_id=boot_id(), timing=timing) > 0


def _issued(row: ActivationLease) -> Certificate | None:
    """The certificate that the newest lease rests on."""
    if not row.generation:
        return None
    return Certificate(subject=row.down, term=row.epoch, votes=())


def _store(row: ActivationLease, answer: Answer, now: datetime, who: str) -> None:
    lease = answer.lease
    if lease.generation != row.generation:
        note(
            "lease",
            "standby",
            str(row.generation or ""),
            str(lease.generation),
            answer.reason,
            who,
            now,
        )
        row.first_granted_at = now
        row.confirmed_by = ""
    row.generation, row.activator, row.down = lease.generation, lease.activator, lease.down
    row.epoch, row.granted_s, row.boot_id = lease.epoch, lease.granted_s, lease.boot_id
    row.granted_at = now
    row.save()


def _spent(row: ActivationLease, now: datetime, timing: Timing) -> Spent:
    """A run without a break lasts as long as its lease lives; a new one begins at 0."""
    month = StandbyMonth.objects.filter(pk=f"{now:%Y-%m}").first()
    run_s = 0.0
    if row.first_granted_at is not None and is_live(lease_of(row), timing):
        run_s = (now - row.first_granted_at).total_seconds()
    return Spent(month_s=month.active_s if month else 0.0, run_s=run_s)


def _epoch() -> int:
    state, _ = FleetState.objects.get_or_create(pk=1)
    return state.epoch
