"""What the control plane judges of a site, as a page shows it."""

from dataclasses import dataclass
from datetime import datetime

from fleet.models import Site
from fleet.policy.verdict import Kind
from fleet.views.words import between

#: A judgement older than this is nobody's any more: the control loop has stopped.
FRESH_S = 15.0
TONES: dict[Kind, str] = {
    Kind.UP: "ok",
    Kind.DEGRADED: "warn",
    Kind.SUSPECT: "warn",
    Kind.LINK_DOWN: "warn",
    Kind.ONE_WAY: "warn",
    Kind.OVERLAY_DOWN: "warn",
    Kind.BROKER_ONLY: "warn",
    Kind.WORKERS_ONLY: "warn",
    Kind.MAINTENANCE: "info",
    Kind.DOWN: "bad",
    Kind.SELF_ISOLATED: "bad",
    Kind.UNKNOWN: "off",
}
#: From outside a crash and a cut look the same.
WORDS: dict[Kind, str] = {Kind.DOWN: "down or isolated", Kind.SELF_ISOLATED: "isolated"}


@dataclass(frozen=True, slots=True)
class VerdictFacts:
    """`since` is when this verdict began, `at` when it was last confirmed."""

    word: str
    tone: str
    reason: str
    since: datetime | None
    at: datetime | None
    recovery: str
    recovery_reason: str


def verdict_facts(site: Site, now: datetime) -> VerdictFacts | None:
    """None where nobody judges the site at the moment."""
    age_s = between(site.verdict_at, now)
    if not site.verdict or age_s is None or age_s >= FRESH_S:
        return None
    kind = Kind(site.verdict)
    return VerdictFacts(
        word=WORDS.get(kind, kind.value.replace("-", " ")),
        tone=TONES[kind],
        reason=site.verdict_reason,
        since=site.verdict_since,
        at=site.verdict_at,
        recovery=site.recovery,
        recovery_reason=site.recovery_reason,
    )
