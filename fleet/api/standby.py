"""The standby's lease: asked for by a LAN's agent, looked up by the standby machine's."""

from django.utils import timezone
from ninja import Router, Schema
from pydantic import Field

from fleet.api.auth import ApiRequest, agent
from fleet.api.schemas import ProblemOut
from fleet.control.leases import ask_lease, promised_s
from fleet.control.timing import timing
from fleet.models import Site
from fleet.policy.errors import RefusedError
from fleet.policy.lease import Ask

router = Router(auth=agent)
_ERRORS = frozenset({401, 403, 409, 422, 503})


class LeaseAskIn(Schema):
    """The asker found `down` lost, as it saw `evidence_age_s` seconds ago.

    `generation` is that of the lease to renew, 0 for a new one; `epoch` the fleet's epoch as
    the asker knows it.
    """

    down: str = Field(max_length=31)
    evidence_age_s: float = Field(ge=0)
    generation: int = Field(0, ge=0)
    epoch: int = Field(0, ge=0)


class LeaseOut(Schema):
    """Whether the lease was granted, and why (not). `left_s` is how long it still runs."""

    granted: bool
    generation: int
    left_s: float
    reason: str


class PermitOut(Schema):
    """`left_s` counts from when the question was sent; 0 means that no work may be started."""

    generation: int
    left_s: float


@router.post(
    "/lease",
    response={200: LeaseOut, _ERRORS: ProblemOut},
    summary="Ask for the standby to work, or to go on working",
)
def lease(request: ApiRequest, payload: LeaseAskIn) -> LeaseOut:
    """Granted only if the control plane itself finds the site down. Refusals are 200 with
    `granted` false and the reason: asking again later is right.
    """
    site = _site(request)
    ask = Ask(
        activator=site.pk,
        down=payload.down,
        evidence_age_s=payload.evidence_age_s,
        generation=payload.generation,
        epoch=payload.epoch,
    )
    found = ask_lease(site, ask, timezone.now(), timing())
    return LeaseOut(
        granted=found.answer.granted,
        generation=found.answer.lease.generation,
        left_s=found.left_s,
        reason=found.answer.reason,
    )


@router.get(
    "/permit",
    response={200: PermitOut, _ERRORS: ProblemOut},
    summary="How long the standby may start work",
)
def permit(request: ApiRequest) -> PermitOut:
    """For the agent of the standby machine, which belongs to the control plane's site."""
    _site(request)
    generation, left_s = promised_s(timing())
    return PermitOut(generation=generation, left_s=left_s)


def _site(request: ApiRequest) -> Site:
    if request.auth.site is None:
        raise RefusedError("only the agent of a site may ask for this")
    return request.auth.site
