"""A site that is alone for a while, ended at every step; nothing is lost or doubled."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from fleet.policy.effects import EffectClass
from fleet.policy.states import RunStatus
from tasks.app import app
from tasks.box import Box
from tasks.call import make_call
from tasks.home.island_store import IslandStore
from tasks.journal import JournalDatabase
from tasks.journal.tables import HomeRunRow
from tasks.producer import JournalAcceptor
from tests.tasks.home_world import PaperSite, check_promises, emptied
from tests.tasks.island_world import IslandWorld, check_island
from tests.tasks.paper import A, B, C, D, quick_folder
from tests.tasks.test_home_crash import HOME, JournalHome

OWNED, SHARED = frozenset({"dev"}), frozenset[str]()


class Worlds:
    """Makes one world after the other, in the same two journals."""

    def __init__(self, folder: Path) -> None:
        self._journals = {site: JournalDatabase(folder / site) for site in ("dc1", "dc2")}

    def play(self, effect: EffectClass, owned: frozenset[str], at: int) -> IslandWorld:
        sites = [PaperSite(name, emptied(journal)) for name, journal in self._journals.items()]
        home = JournalHome(self._journals[HOME])
        world = IslandWorld(home, sites, effect, at=at, owned=owned)
        world.play(runs=1)
        return world

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
def test_what_the_site_owns_runs_on_the_island_and_once(
    worlds: Worlds, effect: EffectClass
) -> None:
    world = worlds.play(effect, OWNED, at=0)
    check_promises(world, publications=1)
    check_island(world)
    assert set(world.home.statuses().values()) == {RunStatus.SUCCESSFUL}
    assert {run for run, _, _ in world.folder.published} == world.accepted
    assert len(world.broker.published) == 1  # before the island, and with the same token
    assert sum(world.sink.started.values()) == len(world.accepted) == 2


def test_class_a_of_this_site_runs_on_the_island_if_it_was_never_published(worlds: Worlds) -> None:
    world = worlds.play(A, SHARED, at=0)
    check_promises(world, publications=1)
    (given,) = world.folder.published
    assert given not in world.broker.published
    assert set(world.folder.given.values()) == {"dev.dc1"}
    assert sum(world.sink.started.values()) == 2


@pytest.mark.parametrize("effect", [B, C])
def test_what_others_may_run_waits_for_the_broker(worlds: Worlds, effect: EffectClass) -> None:
    world = worlds.play(effect, SHARED, at=0)
    check_promises(world, publications=1)
    assert not world.folder.published
    assert len(world.broker.published) == 2


def test_class_d_goes_only_where_it_was_pinned_before(worlds: Worlds) -> None:
    world = worlds.play(D, SHARED, at=0)
    check_promises(world, publications=1)
    pinned = {run for run, _, _ in world.folder.published}
    assert pinned == {run for run, _, _ in world.broker.published if run in pinned}
    assert len(pinned) == 1


@pytest.mark.parametrize(
    ("row", "given"),
    [
        ({}, True),
        ({"attempts": 1, "attempt_queue": "dev"}, False),
        ({"attempts": 1, "attempt_queue": "dev.dc1"}, True),  # only ever on an island
        ({"site": "dc2"}, False),
        ({"effect": "B"}, False),
        ({"effect": "B", "site": "dc1", "attempts": 1, "attempt_queue": "dev.dc1"}, True),
        ({"effect": "D", "capability": "udm", "attempts": 1, "attempt_queue": "udm"}, True),
        ({"capability": "openwrt"}, False),  # this box has none
        ({"status": "RUNNING"}, False),
    ],
)
def test_what_is_given_on_an_island(box: Box, row: dict[str, Any], given: bool) -> None:
    JournalAcceptor(app, box).accept(make_call(app, "canary.effect_a", ["k"]))
    with box.database.write() as connection:
        connection.execute(update(HomeRunRow).values(**({"reason": ""} | row)))
    store = IslandStore(
        *(box.database, HOME, 1, list), capabilities=("dev", "udm"), owned=("udm", "openwrt")
    )
    found = store.due(datetime.now(UTC), 10, [])
    assert [run.site for run in found] == [HOME] * given
    assert store.due(datetime.now(UTC), 10, [run.group for run in found]) == []


CASES = [(A, SHARED), (B, OWNED), (C, OWNED), (D, OWNED)]


@pytest.mark.parametrize(("effect", "owned"), CASES)
def test_a_cut_at_any_step_loses_nothing_and_doubles_nothing(
    worlds: Worlds, effect: EffectClass, owned: frozenset[str]
) -> None:
    points = worlds.play(effect, owned, at=0).cuts.points
    assert points > 60
    for at in range(1, points + 1):
        world = worlds.play(effect, owned, at=at)
        assert world.cuts.where != "nowhere"
        check_promises(world, publications=3)
        check_island(world)
