"""A site's home, its journal and its workers, ended at every step; nothing is lost or doubled."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from fleet.policy.dispatch import Supply
from fleet.policy.effects import EffectClass
from fleet.policy.states import RunStatus
from tasks.app import app
from tasks.box import Box
from tasks.call import make_call
from tasks.home.journal_store import JournalStore
from tasks.home.settle import Settler
from tasks.journal import JournalDatabase
from tasks.journal.tables import HomeRunRow
from tasks.producer import JournalAcceptor
from tasks.settings import load_settings
from tasks.wire import EntryKind, Mail
from tests.tasks.home_world import PaperSite, World, check_promises, emptied
from tests.tasks.paper import TROUBLES, Cuts, Cutting, quick_folder

HOME, NUMBER = "dc1", 1
PASSED_ON = {EntryKind.CLAIMED, EntryKind.FINISHED, EntryKind.LOST}


class JournalHome:
    """The home of DC1; DC2's worker may take its runs, and the control plane passes that on."""

    def __init__(self, database: JournalDatabase) -> None:
        self._database = database
        self._store = self.new_store()
        self._settler = Settler(database, HOME, HOME)
        self._mail: list[Mail] = []
        settings = load_settings(site=HOME, box="mini-1", state_dir=database.path.parent)
        box = Box(settings)
        box.database = database
        self._acceptor = JournalAcceptor(app, box)

    def new_store(self) -> JournalStore:
        return JournalStore(self._database, HOME, NUMBER, self._supply)

    @staticmethod
    def _supply() -> list[Supply]:
        return [Supply(site=HOME, capabilities=frozenset({"dev"}), slots=2)]

    def accept(self, effect: EffectClass) -> str:
        return str(
            self._acceptor.accept(make_call(app, f"canary.effect_{effect.lower()}", ["k"])).id
        )

    def before_relay(self, now: datetime) -> None:
        self._settler.settle_own_claims(now)
        self._store.expire_due(now)

    def hear(self, site: PaperSite, cuts: Cuts, now: datetime) -> None:
        site.claims.lose_orphans(now)
        cuts.point("before report")
        fresh = site.entries.after(site.entries.acked(), 500)
        if site.name != HOME:
            known = {m.payload["seq"] for m in self._mail}
            for entry in fresh:
                if entry.kind in PASSED_ON and entry.home == HOME and entry.seq not in known:
                    payload = {**entry.model_dump(mode="json"), "site": site.name}
                    self._mail.append(
                        Mail(id=len(self._mail) + 1, kind=entry.kind.value, payload=payload)
                    )
        cuts.point("between commit and acknowledgement of the report")
        if fresh:
            site.entries.acknowledge(fresh[-1].seq)
        if site.name == HOME:
            self._take_mail(cuts, now)

    def _take_mail(self, cuts: Cuts, now: datetime) -> None:
        settler = Cutting(self._settler, cuts)
        seen = int(self._database.meta("mail_ack", "0"))
        new = [mail for mail in self._mail if mail.id > seen]
        if new:
            settler.take_mail(new, now)
        self._store.see_running(
            Cutting(PaperSite(HOME, self._database).claims, cuts).running(), now
        )

    def statuses(self) -> dict[str, RunStatus]:
        with self._database.read() as connection:
            rows = connection.execute(select(HomeRunRow.run_id, HomeRunRow.status)).all()  # type: ignore[call-overload]
        return {run_id: RunStatus(status) for run_id, status in rows}

    def heard_all(self, sites: Sequence[PaperSite]) -> bool:
        seen = int(self._database.meta("mail_ack", "0"))
        return len(self._mail) == seen and not any(site.entries.pending() for site in sites)


class Worlds:
    """Makes one world after the other, in the same two journals."""

    def __init__(self, folder: Path) -> None:
        self._journals = {site: JournalDatabase(folder / site) for site in ("dc1", "dc2")}

    def play(self, effect: EffectClass, at: int, trouble: str) -> World:
        sites = [PaperSite(name, emptied(journal)) for name, journal in self._journals.items()]
        home = JournalHome(self._journals[HOME])
        return World(home, sites, effect, at=at, trouble=trouble).play(runs=2)

    def close(self) -> None:
        for database in self._journals.values():
            database.close()


@pytest.fixture
def worlds() -> Iterator[Worlds]:
    with quick_folder() as folder:
        made = Worlds(folder)
        yield made
        made.close()


@pytest.mark.parametrize("effect", EffectClass)
def test_without_trouble_every_run_is_published_and_started_once(
    worlds: Worlds, effect: EffectClass
) -> None:
    world = worlds.play(effect, at=0, trouble="cut")
    check_promises(world, publications=1)
    assert set(world.home.statuses().values()) == {RunStatus.SUCCESSFUL}
    assert len(world.accepted) == len(world.sink.started) == 2


@pytest.mark.parametrize(("effect", "trouble"), TROUBLES)
def test_trouble_at_any_step_loses_nothing_and_doubles_nothing(
    worlds: Worlds, effect: EffectClass, trouble: str
) -> None:
    points = worlds.play(effect, at=0, trouble="cut").cuts.points
    assert points > 40
    for at in range(1, points + 1):
        world = worlds.play(effect, at=at, trouble=trouble)
        assert world.cuts.where != "nowhere"
        check_promises(world, publications=2)
