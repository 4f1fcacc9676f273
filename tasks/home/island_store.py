"""What of a journal's runs a site may work on while it is alone: only what nobody else can have.

Every attempt given here lies in a queue that this journal alone serves: that of a capability
which exists at this site only, or one pinned to the site. So its claim keeps it from running
twice, whoever else holds a copy of the message, before the island or after it.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import product

from sqlalchemy import ColumnElement, and_, false, not_, or_, update

from fleet.policy.dispatch import Supply
from fleet.policy.effects import EffectClass
from fleet.policy.minimal import Deed, may
from fleet.policy.modes import Mode
from fleet.policy.routing import queue_name
from fleet.policy.states import AttemptStatus
from tasks.home.journal_store import JournalStore
from tasks.home.store import DueRun, Group, OpenAttempt
from tasks.journal.database import JournalDatabase
from tasks.journal.tables import HomeRunRow

_ROW = HomeRunRow.__table__.c  # type: ignore[attr-defined]


class IslandStore(JournalStore):
    """The runs of the home `name` that its box, with these capabilities, may run alone.

    `owned`: the capabilities that exist at this site only.
    """

    def __init__(
        self,
        database: JournalDatabase,
        name: str,
        number: int,
        supply: Callable[[], list[Supply]],
        *,
        capabilities: Collection[str],
        owned: Collection[str],
    ) -> None:
        super().__init__(database, name, number, supply)
        self._capabilities = frozenset(capabilities)
        self._owned = self._capabilities & frozenset(owned)
        pinned = {queue_name(capability, name) for capability in self._capabilities}
        self._our_queues = frozenset(pinned | {queue_name(c) for c in self._owned})

    def due(self, now: datetime, limit: int, without: Collection[Group]) -> list[DueRun]:
        """As every home, but each run is pinned to this site, so that its queue is our own."""
        either = [(c, site, e) for c, _, e in without for site in ("", self.name)]
        return [replace(run, site=self.name) for run in super().due(now, limit, either)]

    def under_way(self) -> list[OpenAttempt]:
        """The attempts that nobody has claimed and that only this journal can claim."""
        return [
            a
            for a in super().under_way()
            if a.status is not AttemptStatus.RUNNING and a.queue in self._our_queues
        ]

    def take_back(self) -> None:
        """The island is over: what was given and not claimed has to be published by the relay."""
        with self._database.write() as connection:
            connection.execute(
                update(HomeRunRow)
                .where(
                    _ROW.open_attempt.is_(True),
                    _ROW.attempt_status == AttemptStatus.PUBLISHED.value,
                    _ROW.attempt_queue.in_(self._our_queues),
                )
                .values(
                    attempt_status=AttemptStatus.CREATED.value,
                    published_at=None,
                    times_published=0,
                )
            )

    def _eligible(self) -> Sequence[ColumnElement[bool]]:
        here = _ROW.site.in_(("", self.name))
        return (here, _ROW.capability.in_(self._capabilities), self._allowed())

    def _allowed(self) -> ColumnElement[bool]:
        """The policy's table for a site that is alone, as a condition."""
        owned = or_(_ROW.capability.in_(self._owned), _ROW.site == self.name)
        published = and_(_ROW.attempts > 0, _ROW.attempt_queue.not_in(self._our_queues))
        allowed = [
            and_(_ROW.effect == effect.value, _is(owned, own), _is(published, before))
            for effect, own, before in product(EffectClass, (True, False), (True, False))
            if _may_run(effect, owned=own, published_before=before)
        ]
        return or_(false(), *allowed)


def _may_run(effect: EffectClass, *, owned: bool, published_before: bool) -> bool:
    return all(
        may(
            deed, Mode.ISLAND, effect=effect, owned=owned, published_before=published_before
        ).allowed
        for deed in (Deed.NEW_ATTEMPT, Deed.RUN_HERE)
    )


def _is(condition: ColumnElement[bool], wanted: bool) -> ColumnElement[bool]:
    return condition if wanted else not_(condition)
