"""The store of a home: the ledger (Django's ORM) or a site's journal (SQLModel)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from fleet.policy.dispatch import Supply
from fleet.policy.effects import EffectClass
from fleet.policy.states import AttemptStatus

#: Capability, site and effect class: runs that are alike to the relay.
Group = tuple[str, str, EffectClass]


@dataclass(frozen=True, slots=True, kw_only=True)
class DueRun:
    """A run that may be published now. `site` is "" for any.

    `last_site`: where an attempt was published that no worker is known to have claimed.
    """

    run_id: str
    capability: str
    site: str
    effect: EffectClass
    last_site: str = ""

    @property
    def group(self) -> Group:
        return self.capability, self.site, self.effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """An attempt with its token, ready to be signed and published."""

    run_id: str
    task: str
    args: list[Any]
    kwargs: dict[str, Any]
    queue: str
    token: int
    attempt: int
    key: str
    expires_at: datetime | None
    group_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAttempt:
    """An attempt under way, as its home knows it."""

    run_id: str
    token: int
    queue: str
    status: AttemptStatus
    created_at: datetime
    published_at: datetime | None
    times_published: int
    seen_at: datetime | None


class HomeStore(Protocol):
    """Each method is one transaction and a compare-and-set: 0 rows means somebody else won."""

    @property
    def name(self) -> str:
        """The home's name, in envelopes."""
        ...

    def expire_due(self, now: datetime) -> int:
        """Cancel the unclaimed runs whose expiry has passed; returns how many."""
        ...

    def due(self, now: datetime, limit: int, without: Collection[Group]) -> list[DueRun]:
        """READY runs without an open attempt whose time has come, the most urgent first.

        Runs of the groups in `without` are left out: they cannot go now.
        """
        ...

    def supply(self, now: datetime) -> list[Supply]:
        """The live workers that this home knows of."""
        ...

    def open_attempts(self, chosen: Sequence[tuple[str, str]], now: datetime) -> list[Dispatch]:
        """Give each (run id, queue) an attempt with a fresh token; left out if not READY now."""
        ...

    def mark_published(self, tokens: Sequence[int], now: datetime) -> None:
        """The broker has taken these attempts."""
        ...

    def under_way(self) -> list[OpenAttempt]:
        """Every open attempt."""
        ...

    def dispatches(self, tokens: Sequence[int]) -> list[Dispatch]:
        """The open attempts with these tokens, to be published again."""
        ...

    def lose(self, token: int, why: str, now: datetime) -> None:
        """A running attempt's lease is over: next attempt or DEAD, by its effect class."""
        ...
