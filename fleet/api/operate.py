"""The fleet as a whole: its mode and why, and what an operator may do about it."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from ninja import Router, Schema
from pydantic import Field

from fleet.api.auth import ApiRequest, operator, reader
from fleet.api.schemas import ProblemOut
from fleet.control import planned
from fleet.control.leases import current_lease, is_live
from fleet.control.timing import timing
from fleet.models import ActivationLease, FleetEvent, FleetState, Maintenance, Override, Site
from fleet.policy.override import Request

router = Router()
_ERRORS = frozenset({401, 403, 409, 422, 503})
EVENTS_SHOWN = 50


class VerdictOut(Schema):
    """What the control plane judges of a site, and what the site itself judges of the others."""

    site: str
    verdict: str
    reason: str
    since: datetime | None
    at: datetime | None
    recovery: str
    recovery_reason: str
    its_own: dict[str, Any]
    row: dict[str, Any]
    row_at: datetime | None


class StandbyOut(Schema):
    """The activation lease and the standby machine."""

    generation: int
    activator: str
    down: str
    live: bool
    granted_at: datetime | None
    machine: str
    machine_reason: str
    machine_since: datetime | None


class PlannedOut(Schema):
    """A planned stop of a site."""

    site: str
    began_at: datetime
    until: datetime
    reason: str
    by: str


class OverrideOut(Schema):
    """What an operator asserts."""

    epoch: int
    asserted: list[str]
    began_at: datetime
    expires_at: datetime
    reason: str
    by: str


class EventOut(Schema):
    """A change, and why."""

    at: datetime
    kind: str
    subject: str
    was: str
    became: str
    why: str
    who: str


class FleetOut(Schema):
    """The fleet's mode with its reason, everybody's verdicts, and the newest changes."""

    at: datetime
    mode: str
    site: str
    epoch: int
    since: datetime | None
    reason: str
    sites: list[VerdictOut]
    standby: StandbyOut
    maintenance: list[PlannedOut]
    override: list[OverrideOut]
    events: list[EventOut]


class MaintenanceIn(Schema):
    """`for_s`: seconds until it ends by itself, at least 60, at most a day."""

    site: str = Field(max_length=31)
    for_s: float
    reason: str = Field(max_length=300)


class OverrideIn(Schema):
    """`typed` repeats `assert_down`: the second of the two steps. `epoch` is the fleet's now."""

    epoch: int = Field(ge=0)
    assert_down: list[str] = Field(max_length=16)
    typed: list[str] = Field(max_length=16)
    reason: str = Field(max_length=300)
    ttl_s: float


class DoneOut(Schema):
    """What happened, in one sentence."""

    done: str


@router.get(
    "/fleet", auth=reader, response={200: FleetOut, _ERRORS: ProblemOut}, summary="The whole fleet"
)
def fleet(request: ApiRequest) -> FleetOut:
    """Mode, verdicts with reasons, the standby, planned stops, the newest changes."""
    now = timezone.now()
    state = FleetState.objects.filter(pk=1).first() or FleetState()
    running = Maintenance.objects.filter(ended_at=None, until__gt=now)
    overrides = Override.objects.filter(ended_at=None, expires_at__gt=now)
    return FleetOut(
        at=now,
        mode=state.mode,
        site=state.site,
        epoch=state.epoch,
        since=state.since,
        reason=state.reason,
        sites=[_verdict(site) for site in Site.objects.all()],
        standby=_standby(),
        maintenance=[_planned(row) for row in running],
        override=[OverrideOut.model_validate(row, from_attributes=True) for row in overrides],
        events=[
            EventOut.model_validate(row, from_attributes=True)
            for row in FleetEvent.objects.all()[:EVENTS_SHOWN]
        ],
    )


@router.post(
    "/maintenance",
    auth=operator,
    response={201: PlannedOut, _ERRORS: ProblemOut},
    summary="Announce a planned stop",
)
def begin_maintenance(request: ApiRequest, payload: MaintenanceIn) -> tuple[int, PlannedOut]:
    """The site drains and nobody is alarmed; it ends by itself. 409 says what is in the way."""
    row = planned.begin_maintenance(
        payload.site,
        for_s=payload.for_s,
        reason=payload.reason,
        by=request.auth.who,
        now=timezone.now(),
    )
    return 201, _planned(row)


@router.delete(
    "/maintenance/{site}",
    auth=operator,
    response={200: DoneOut, _ERRORS: ProblemOut},
    summary="End a planned stop before its time",
)
def end_maintenance(request: ApiRequest, site: str) -> DoneOut:
    """The site takes work again at once."""
    planned.end_maintenance(site, by=request.auth.who, now=timezone.now())
    return DoneOut(done=f"the planned stop of {site} is over")


@router.post(
    "/override",
    auth=operator,
    response={201: OverrideOut, _ERRORS: ProblemOut},
    summary="Assert that sites are down",
)
def begin_override(request: ApiRequest, payload: OverrideIn) -> tuple[int, OverrideOut]:
    """For when the control plane hears nobody and a person knows more. Open attempts of these
    sites are void from now on.
    """
    asked = Request(
        epoch=payload.epoch,
        assert_down=tuple(payload.assert_down),
        typed=tuple(payload.typed),
        reason=payload.reason,
        ttl_s=payload.ttl_s,
        by=request.auth.who,
    )
    row = planned.begin_override(asked, timezone.now())
    return 201, OverrideOut.model_validate(row, from_attributes=True)


@router.delete(
    "/override",
    auth=operator,
    response={200: DoneOut, _ERRORS: ProblemOut},
    summary="Take the assertion back",
)
def end_override(request: ApiRequest) -> DoneOut:
    """The control plane judges by itself again."""
    planned.end_override(by=request.auth.who, now=timezone.now())
    return DoneOut(done="the override is over")


@router.post(
    "/standby/confirm",
    auth=operator,
    response={200: DoneOut, _ERRORS: ProblemOut},
    summary="Let the standby go on beyond its budget",
)
def confirm(request: ApiRequest) -> DoneOut:
    """Holds until the present lease ends."""
    planned.confirm_budget(by=request.auth.who, now=timezone.now())
    return DoneOut(done="the standby may go on beyond its budget")


def _verdict(site: Site) -> VerdictOut:
    return VerdictOut(
        site=site.pk,
        verdict=site.verdict or "unknown",
        reason=site.verdict_reason,
        since=site.verdict_since,
        at=site.verdict_at,
        recovery=site.recovery,
        recovery_reason=site.recovery_reason,
        its_own=site.verdicts,
        row=site.row,
        row_at=site.row_at,
    )


def _standby() -> StandbyOut:
    row = ActivationLease.objects.filter(pk=1).first() or ActivationLease()
    return StandbyOut(
        generation=row.generation,
        activator=row.activator,
        down=row.down,
        live=is_live(current_lease(), timing()),
        granted_at=row.granted_at,
        machine=row.machine or "unknown",
        machine_reason=row.machine_reason,
        machine_since=row.machine_since,
    )


def _planned(row: Maintenance) -> PlannedOut:
    return PlannedOut(
        site=row.site_id, began_at=row.began_at, until=row.until, reason=row.reason, by=row.by
    )
