"""A liveness verdict as a page shows it: a word, a tone, and a phrase that ends in an age."""

from dataclasses import dataclass
from datetime import datetime

from fleet.policy import liveness
from fleet.policy.liveness import Liveness
from fleet.views.words import between


@dataclass(frozen=True, slots=True)
class Health:
    """`phrase` is followed by the age of `since` where there is one, so it stays true while it
    is looked at. `tone` names a colour: ok, warn, bad, off."""

    word: str
    tone: str
    phrase: str
    since: datetime | None

    @property
    def alive(self) -> bool:
        return self.tone == "ok"


_TONES = {
    Liveness.ALIVE: ("ok", "last heard", "ago"),
    Liveness.SUSPECT: ("warn", "silent for", ""),
    Liveness.DEAD: ("bad", "silent for", ""),
    Liveness.UNKNOWN: ("off", "never heard of", ""),
}
#: A site is a place, so another word than for a process.
SITE_WORDS = {
    Liveness.ALIVE: "up",
    Liveness.SUSPECT: "suspect",
    Liveness.DEAD: "down or isolated",
    Liveness.UNKNOWN: "unknown",
}


def judged(seen_at: datetime | None, now: datetime, words: dict[Liveness, str]) -> Health:
    """The verdict of `fleet.policy.liveness` on something last heard of at `seen_at`."""
    found = liveness.verdict(between(seen_at, now)).liveness
    tone, phrase, _ = _TONES[found]
    return Health(words[found], tone, phrase, seen_at)


def stopped(at: datetime) -> Health:
    """A process whose agent saw it end."""
    return Health("ended", "off", "its process ended", at)
