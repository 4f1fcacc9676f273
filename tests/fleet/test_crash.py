"""The control plane's home, ended at every step: the same trouble as for a site's home."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import pytest
from django.db import connection

from fleet.ledger.enqueue import accept
from fleet.ledger.ingest import ingest
from fleet.ledger.store import LedgerStore
from fleet.models import Attempt, Journal, RunEvent, SecurityEvent, Site, TaskRun, Worker
from fleet.policy.effects import EffectClass
from fleet.policy.states import OPEN_ATTEMPTS, RunStatus
from tasks.app import app
from tasks.call import make_call
from tasks.journal import JournalDatabase
from tasks.wire import Heartbeat, Report, WorkerState
from tests.fleet.api_calls import make_site
from tests.tasks.home_world import START, PaperSite, World, check_promises, emptied
from tests.tasks.paper import TROUBLES, Cuts, quick_folder

pytestmark = pytest.mark.django_db


class LedgerHome:
    """The ledger; both sites report to it."""

    def new_store(self) -> LedgerStore:
        return LedgerStore()

    def accept(self, effect: EffectClass) -> str:
        call = make_call(app, f"canary.effect_{effect.lower()}", ["k"])
        return str(accept(app, call, by="test").run.pk)

    def before_relay(self, now: datetime) -> None:
        LedgerStore().expire_due(now)

    def hear(self, site: PaperSite, cuts: Cuts, now: datetime) -> None:
        site.claims.lose_orphans(now)
        cuts.point("before report")
        ack = ingest(Site.objects.get(pk=site.name), _report(site, now), now)
        cuts.point("between commit and acknowledgement of the report")
        site.entries.acknowledge(ack.ack)
        cuts.point("after report")

    def statuses(self) -> dict[str, RunStatus]:
        rows = TaskRun.objects.values_list("pk", "status")
        return {str(run_id): RunStatus(status) for run_id, status in rows}

    def heard_all(self, sites: Sequence[PaperSite]) -> bool:
        return not any(site.entries.pending() for site in sites)


def _report(site: PaperSite, now: datetime) -> Report:
    first = site.entries.acked() + 1
    worker = WorkerState(
        id=site.worker,
        pid=1,
        capabilities=["dev"],
        queues=["dev"],
        slots=2,
        busy=0,
        version="1",
        started_at=START,
        alive=True,
    )
    running = [(row["run_id"], row["token"]) for row in site.claims.running()]
    return Report(
        site=site.name,
        box="mini-1",
        journal=site.database.journal_id(),
        first_seq=first,
        entries=site.entries.after(first - 1, 500),
        heartbeat=Heartbeat(at=now, workers=[worker], running=running),
    )


class Worlds:
    """Makes one world after the other, in the same ledger and journals."""

    def __init__(self, journals: dict[str, JournalDatabase]) -> None:
        self._journals = journals
        for number, name in enumerate(journals, start=1):
            make_site(name, number)

    def prepare(self, effect: EffectClass, at: int, trouble: str) -> World:
        for model in (RunEvent, Attempt, TaskRun, Journal, Worker, SecurityEvent):
            model.objects.all().delete()
        sites = [PaperSite(name, emptied(journal)) for name, journal in self._journals.items()]
        return World(LedgerHome(), sites, effect, at=at, trouble=trouble)

    def play(self, effect: EffectClass, at: int, trouble: str) -> World:
        return self.prepare(effect, at, trouble).play(runs=2)

    def play_statements(self, effect: EffectClass, at: int) -> World:
        """Every SQL statement is a point, too: inside the transactions."""
        world = self.prepare(effect, at, "cut")

        def watched(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            if not sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
                world.cuts.point(sql)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(watched):
            return world.play(runs=1)


@pytest.fixture
def worlds(db: None) -> Iterator[Worlds]:
    with quick_folder() as folder:
        journals = {name: JournalDatabase(folder / name) for name in ("dc1", "dc2")}
        yield Worlds(journals)
        for journal in journals.values():
            journal.close()


def check_ledger(world: World) -> None:
    """Rows that must agree with each other once the fleet is quiet."""
    where = f"{world.effect}, {world.cuts.where}"
    assert not Attempt.objects.filter(status__in=OPEN_ATTEMPTS).exists(), where
    assert not TaskRun.objects.filter(open_attempt=True).exists(), where
    assert not SecurityEvent.objects.exists(), where
    for run in TaskRun.objects.all():
        steps = list(run.events.values_list("from_status", "to_status"))
        assert [before for before, _ in steps] == ["", *(after for _, after in steps[:-1])], where
        assert steps[-1][1] == run.status, where
        numbers = list(run.attempt_set.values_list("number", flat=True))
        assert numbers == list(range(1, run.attempts + 1)), where
        if run.status == RunStatus.SUCCESSFUL:
            assert run.return_value in run.attempt_set.values_list("token", flat=True), where


@pytest.mark.parametrize("effect", EffectClass)
def test_without_trouble_every_run_is_published_and_started_once(
    worlds: Worlds, effect: EffectClass
) -> None:
    world = worlds.play(effect, at=0, trouble="cut")
    check_promises(world, publications=1)
    check_ledger(world)
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
        check_ledger(world)


def test_a_cut_inside_any_transaction_leaves_nothing_half_done(worlds: Worlds) -> None:
    points = worlds.play_statements(EffectClass.D, at=0).cuts.points
    assert points > 50
    for at in range(1, points + 1):
        world = worlds.play_statements(EffectClass.D, at=at)
        check_promises(world, publications=2)
        check_ledger(world)
