"""What a history may not contain."""

from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """The promises that are checked."""

    LOST = "lost"
    EFFECT_TWICE = "effect twice"
    STARTED_TWICE = "started twice"
    TOKEN_ORDER = "token order"  # noqa: S105 - the name of a rule
    NO_LEASE = "start outside a lease"
    TWO_MASTERS = "two masters"
    ACCEPTED_TWICE = "accepted twice"
    UNKNOWN_RUN = "unknown run"


#: What each rule promises, for reports.
MEANING = {
    Rule.LOST: "every accepted task of class A, B or C takes effect",
    Rule.EFFECT_TWICE: "an attempt takes effect once; a key of class B or a run of D once at all",
    Rule.STARTED_TWICE: "a task of class D starts once",
    Rule.TOKEN_ORDER: "a box starts a run, and a fenced sink takes an effect, "
    "only with a newer token",
    Rule.NO_LEASE: "the standby starts tasks only while a lease is live, and none once it has been "
    "alone for longer than a lease lives",
    Rule.TWO_MASTERS: "at any moment at most one Redis accepts writes",
    Rule.ACCEPTED_TWICE: "one idempotency key is one run, whoever asks how often",
    Rule.UNKNOWN_RUN: "a key that was accepted runs as the run that was accepted, and as no other",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise: which, about what (a key, a site), and the lines that show it."""

    rule: Rule
    about: str
    shown_by: str
