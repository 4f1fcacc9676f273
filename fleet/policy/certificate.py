"""Two sites of three say that the third is down: that, and nothing less, is a decision.

Each site votes with its own confirmed verdict. A site that is cut off finds itself alone, so it
can neither certify nor be certified against while anybody hears it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fleet.policy.matrix import Link
from fleet.policy.timing import TIMING, Timing
from fleet.policy.verdict import Kind

VOTERS_NEEDED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What `site` finds of `subject`, read from its row `row_seq` that is `age_s` old."""

    site: str
    subject: str
    kind: Kind
    row_seq: int
    age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """`subject` is down, in the term `term`; `votes` are those that say so, by site."""

    subject: str
    term: int
    votes: tuple[Vote, ...]

    @property
    def reason(self) -> str:
        return f"{' and '.join(v.site for v in self.votes)} find {self.subject} down"


@dataclass(frozen=True, slots=True)
class Refusal:
    reason: str


def certify(
    subject: str,
    votes: Sequence[Vote],
    link_between_voters: Link,
    term: int,
    timing: Timing = TIMING,
    *,
    control: str = "",
    issued: Certificate | None = None,
) -> Certificate | Refusal:
    """The certificate that `subject` is down, or why there is none.

    `votes` are everybody's newest ones, those about other subjects included. `control`, where
    given, has to be among the voters unless it is the subject. `issued` is the newest
    certificate so far: a term has one at most, and the same question has the same answer.
    """
    if issued is not None and issued.term >= term:
        return _again(subject, term, issued)
    newest = _newest(votes, subject, timing)
    reasons = (
        _contradicted(subject, newest),
        _too_few(subject, newest, control),
        _two_subjects(subject, newest, votes, timing),
        _not_in_touch(link_between_voters),
    )
    if refusal := next(filter(None, reasons), ""):
        return Refusal(refusal)
    return Certificate(subject=subject, term=term, votes=newest)


def _again(subject: str, term: int, issued: Certificate) -> Certificate | Refusal:
    if issued.term == term and issued.subject == subject:
        return issued
    return Refusal(f"term {issued.term} already has a certificate, for {issued.subject}")


def _newest(votes: Sequence[Vote], subject: str, timing: Timing) -> tuple[Vote, ...]:
    """The newest fresh vote of each other site about the subject, by site."""
    found: dict[str, Vote] = {}
    for vote in sorted(votes, key=lambda v: (v.row_seq, -v.age_s)):
        if vote.subject == subject != vote.site:
            found[vote.site] = vote
    fresh = [v for v in found.values() if v.age_s <= timing.evidence_fresh_s]
    return tuple(sorted(fresh, key=lambda v: v.site))


def _contradicted(subject: str, newest: Sequence[Vote]) -> str:
    against = [f"{v.site} finds {subject} {v.kind}" for v in newest if v.kind is not Kind.DOWN]
    return ", ".join(against)


def _too_few(subject: str, newest: Sequence[Vote], control: str) -> str:
    voters = [v.site for v in newest]
    if len(voters) < VOTERS_NEEDED:
        who = " and ".join(voters) or "nobody"
        return f"{who} with fresh evidence finds {subject} down; {VOTERS_NEEDED} sites are needed"
    if control and control not in (subject, *voters):
        return f"{control} has to agree, and has no fresh evidence"
    return ""


def _two_subjects(
    subject: str, newest: Sequence[Vote], votes: Sequence[Vote], timing: Timing
) -> str:
    """A voter that finds two others down is alone: it may be the one that is cut off."""
    voters = {v.site for v in newest}
    for other in sorted({v.subject for v in votes} - {subject}):
        for vote in _newest(votes, other, timing):
            if vote.site in voters and vote.kind is Kind.DOWN:
                return f"{vote.site} also finds {other} down: it may be cut off itself"
    return ""


def _not_in_touch(between: Link) -> str:
    return "" if between is Link.UP else f"the link between the voters is {between}"
