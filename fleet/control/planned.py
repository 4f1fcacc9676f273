"""What operators do on purpose: planned stops, overrides, and going on beyond the budget."""

from datetime import datetime, timedelta

from django.db import transaction

from fleet.control.events import note
from fleet.control.modes import maintained
from fleet.ledger.loss import lose_run
from fleet.models import ActivationLease, Attempt, FleetState, Maintenance, Override, Site
from fleet.policy import maintenance, override
from fleet.policy.errors import RefusedError
from fleet.policy.override import Request
from fleet.policy.states import AttemptStatus, RunStatus
from fleet.policy.verdict import Kind


class NotNowError(RefusedError):
    """The state of the fleet forbids it; the message says what has to change first."""


def begin_maintenance(
    site: str, *, for_s: float, reason: str, by: str, now: datetime
) -> Maintenance:
    """Announce a stop: the site drains, alarms about it are held back, and it ends by itself.

    Raises NotNowError with the reason.
    """
    if not reason.strip():
        raise NotNowError("give a reason: others will see that the site is away")
    decision = maintenance.may_begin(site, for_s, kinds(), maintained(now))
    if not decision.allowed:
        raise NotNowError(decision.reason)
    row = Maintenance.objects.create(
        site_id=site, reason=reason[:300], by=by, began_at=now, until=now + timedelta(seconds=for_s)
    )
    note("maintenance", site, "", "planned stop", reason, by, now)
    return row


def end_maintenance(site: str, *, by: str, now: datetime) -> int:
    """End it before its time; raises NotNowError where none is under way."""
    ended = Maintenance.objects.filter(site_id=site, ended_at=None).update(ended_at=now)
    if not ended:
        raise NotNowError(f"no planned stop of {site} is under way")
    note("maintenance", site, "planned stop", "over", "ended by hand", by, now)
    return ended


def begin_override(request: Request, now: datetime) -> Override:
    """Fence the asserted sites: their open attempts are void, and get new tokens elsewhere.

    What those sites report later of the old attempts is kept as stale. Raises NotNowError.
    """
    with transaction.atomic():
        state, _ = FleetState.objects.select_for_update().get_or_create(pk=1)
        decision = override.check(request, state.epoch, kinds())
        if not decision.allowed:
            raise NotNowError(decision.reason)
        FleetState.objects.filter(pk=1).update(epoch=state.epoch + 1)
        row = Override.objects.create(
            epoch=state.epoch + 1,
            asserted=list(request.assert_down),
            reason=request.reason[:300],
            by=request.by,
            began_at=now,
            expires_at=now + timedelta(seconds=request.ttl_s),
        )
        fenced = _void(request, now)
        why = f"{request.reason} ({fenced} attempts fenced)"
        note("override", "fleet", "", ", ".join(request.assert_down), why, request.by, now)
    return row


def end_override(*, by: str, now: datetime) -> int:
    """End it before its time; raises NotNowError where none is under way."""
    ended = Override.objects.filter(ended_at=None).update(ended_at=now)
    if not ended:
        raise NotNowError("no override is under way")
    note("override", "fleet", "asserted", "over", "ended by hand", by, now)
    return ended


def confirm_budget(*, by: str, now: datetime) -> None:
    """Let the standby go on beyond its budget until this lease ends."""
    row, _ = ActivationLease.objects.get_or_create(pk=1)
    ActivationLease.objects.filter(pk=row.pk).update(confirmed_by=by)
    note("lease", "standby", "", "confirmed", "goes on beyond its budget", by, now)


def kinds() -> dict[str, Kind]:
    """The control loop's verdict on every site."""
    found = Site.objects.values_list("pk", "verdict")
    return {site: Kind(verdict) if verdict else Kind.UNKNOWN for site, verdict in found}


def _void(request: Request, now: datetime) -> int:
    """The attempts that the asserted sites may have in hand."""
    chosen = Attempt.objects.filter(status=AttemptStatus.RUNNING, site__in=request.assert_down)
    why = f"fenced: {request.by} asserts that {', '.join(request.assert_down)} is down"
    return sum(
        lose_run(attempt.run, why, now, who=request.by)
        for attempt in chosen.select_related("run")
        if attempt.run.token == attempt.token and attempt.run.status == RunStatus.RUNNING
    )
