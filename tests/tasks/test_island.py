"""A site that is alone runs what only it can run: a real second worker, a real journal."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from sqlalchemy import update

from deploy.topology import topology
from fleet.policy.errors import ConfigurationError, StorageError
from fleet.policy.modes import Mode
from fleet.policy.states import RunStatus
from tasks.journal.tables import HomeRunRow
from tasks.settings import load_settings
from tests.tasks.devbox import eventually
from tests.tasks.island_box import WITHIN_S, Alone, alone_box

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Alone]:
    with alone_box(monkeypatch) as made:
        yield made


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_alone_a_site_runs_what_is_its_own_and_publishes_nothing(alone: Alone) -> None:
    hardware = alone.accept("udm.gateway_health")
    published_a = alone.accept("canary.effect_a", "published")
    alone.step(Mode.NORMAL)
    before = dict(alone.redis.published)
    anyones_a = alone.accept("canary.effect_a", "a")
    pinned_b = alone.accept("canary.effect_b", "b", site="dc1")
    anyones_b, anyones_c = (alone.accept(f"canary.effect_{x}", x) for x in ("b", "c"))
    others_a = alone.accept("canary.effect_a", "other", site="dc2")
    alone.finish(Mode.ISLAND, anyones_a, pinned_b, hardware)
    assert {alone.status(run) for run in (anyones_a, pinned_b)} == {RunStatus.SUCCESSFUL}
    assert alone.row(hardware)["worker_id"] == "island-mini-1@dc1"  # and found no console
    for run in (anyones_b, anyones_c, others_a):
        assert (alone.status(run), alone.row(run)["attempts"]) == (RunStatus.READY, 0)
    assert (alone.status(published_a), alone.lines("start", "published")) == (RunStatus.READY, 0)
    assert alone.redis.published == before
    assert {run for run, _, _ in before} == {hardware, published_a}
    assert (alone.folder / "island").stat().st_mode & 0o777 == 0o700
    assert {e.home for e in alone.box.entries.after(0, 100) if e.kind == "finished"} == {"dc1"}


def test_as_it_ends_the_rest_goes_to_redis_with_the_same_token_and_the_worker_ends(
    alone: Alone,
) -> None:
    long = [alone.accept("canary.effect_b", f"long {n}", 2.0, site="dc1") for n in range(2)]
    alone.until(Mode.ISLAND, lambda: all(alone.lines("start", f"long {n}") for n in range(2)))
    waiting = alone.accept("canary.effect_b", "waiting", site="dc1")
    alone.step(Mode.ISLAND)
    given, pid = alone.row(waiting)["token"], alone.worker_pid()
    assert (alone.waits(), given > 0) == (1, True)
    alone.step(Mode.NORMAL)
    assert alone.row(waiting)["attempt_status"] == "CREATED"  # the relay's again, at once
    alone.finish(Mode.NORMAL, *long)
    assert [alone.lines("effect", f"long {n}") for n in range(2)] == [1, 1]
    alone.until(Mode.NORMAL, lambda: bool(alone.redis.published))
    assert set(alone.redis.published) == {(waiting, 1, given)}
    assert alone.waits() == 0
    assert pid is not None
    alone.until(Mode.NORMAL, lambda: gone(pid))
    assert alone.lines("start", "waiting") == 0


def test_a_worker_killed_in_its_tasks_costs_attempts_and_no_second_effect(alone: Alone) -> None:
    runs = {key: alone.accept(f"canary.effect_{key}", key, 1.0, site="dc1") for key in "abc"}
    alone.until(Mode.ISLAND, lambda: sum(alone.lines("start", key) for key in runs) == 2)
    alone.kill_worker()
    alone.finish(Mode.ISLAND, *runs.values())
    assert {alone.status(run) for run in runs.values()} == {RunStatus.SUCCESSFUL}
    assert [alone.lines("effect", key) for key in runs] == [1, 1, 1]
    starts = {key: alone.lines("start", key) for key in runs}
    assert sorted(starts.values()) == [1, 2, 2]
    assert starts == {key: alone.row(run)["attempts"] for key, run in runs.items()}


def test_what_a_killed_worker_had_taken_and_not_claimed_is_given_again(alone: Alone) -> None:
    run = alone.accept("canary.effect_b", "taken", site="dc1")
    alone.step(Mode.ISLAND)
    alone.kill_worker()
    (message,) = (alone.folder / "island").glob("*.msg")
    message.unlink()  # as if it had been taken just before
    token = alone.row(run)["token"]
    later = datetime.now(UTC) - timedelta(seconds=20)
    with alone.box.database.write() as connection:
        connection.execute(update(HomeRunRow).values(published_at=later, last_attempted_at=later))
    alone.finish(Mode.ISLAND, run)
    assert (alone.row(run)["token"], alone.row(run)["attempts"]) == (token, 1)
    assert (alone.lines("start", "taken"), alone.lines("effect", "taken")) == (1, 1)


def test_what_an_ended_agent_left_in_the_folder_is_dropped_by_the_next(alone: Alone) -> None:
    run = alone.accept("canary.effect_b", "left", site="dc1")
    alone.step(Mode.ISLAND)
    assert alone.waits() == 1
    for mode in (Mode.ISLAND, Mode.NORMAL):
        (alone.folder / "island" / f"{mode}_dev.dc1.msg").touch()
        alone.new_home()
        alone.step(mode)
        assert alone.waits() == 0
    assert (alone.status(run), alone.row(run)["attempts"]) == (RunStatus.READY, 1)


def test_a_message_that_could_not_be_written_whole_is_not_there_and_is_given_again(
    alone: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = alone.accept("canary.effect_b", "half", site="dc1")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(StorageError, match="No space left on device"):
            alone.step(Mode.ISLAND)
    alone.kill_worker()
    assert (alone.waits(), alone.row(run)["attempt_status"]) == (0, "CREATED")
    token = alone.row(run)["token"]
    alone.until(Mode.ISLAND, lambda: alone.waits() == 1 or bool(alone.row(run)["finished_at"]))
    assert (alone.row(run)["token"], alone.row(run)["attempts"]) == (token, 1)


def running_at_dc2(alone: Alone, silent_s: float) -> str:
    run = alone.accept("canary.effect_a", "elsewhere")
    alone.step(Mode.NORMAL)
    seen = datetime.now(UTC) - timedelta(seconds=silent_s)
    alone.home._reconciler._hears_since = seen  # and since then somebody could be heard
    with alone.box.database.write() as connection:
        connection.execute(
            update(HomeRunRow).values(
                status="RUNNING", attempt_status="RUNNING", worker_site="dc2", seen_at=seen
            )
        )
    return run


def test_the_other_sites_claims_are_not_given_up_while_nobody_is_heard_nor_right_after(
    alone: Alone,
) -> None:
    run = running_at_dc2(alone, silent_s=600)
    alone.step(Mode.ISLAND)
    assert alone.status(run) is RunStatus.RUNNING
    alone.step(Mode.NORMAL)
    alone.home._next_reconcile_s = alone.home._news_by_s = 0.0
    alone.step(Mode.NORMAL)
    assert (alone.status(run), alone.row(run)["attempts"]) == (RunStatus.RUNNING, 1)


@pytest.mark.parametrize("mode", [Mode.NORMAL, Mode.LAN_ONLY])
def test_with_the_other_lan_work_goes_on_through_the_broker(alone: Alone, mode: Mode) -> None:
    lost = running_at_dc2(alone, silent_s=600)
    run = alone.accept("canary.effect_b", "b")
    alone.home._next_reconcile_s = 0.0
    alone.step(mode)
    assert run in {published for published, _, _ in alone.redis.published}
    assert (alone.status(lost), alone.row(lost)["reason"] != "") == (RunStatus.READY, True)
    assert alone.worker_pid() is None


class Noted:
    """Stands for the reconciler; notes that it was asked to look."""

    looks = 0

    def step(self, _: datetime, *, broker_readable: bool) -> None:
        self.looks += broker_readable

    def pause_s(self, _: datetime) -> float:
        return 0.0

    def deaf(self) -> None:
        return


def test_after_an_island_the_news_of_the_others_comes_before_anything_is_published_again(
    alone: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone.accept("canary.effect_a", "once")
    alone.home._next_reconcile_s = 0.0
    noted = Noted()
    monkeypatch.setattr(alone.home, "_reconciler", noted)
    for mode, looks in ((Mode.NORMAL, 1), (Mode.ISLAND, 1), (Mode.NORMAL, 1)):
        alone.step(mode)
        assert noted.looks == looks
    alone.home.take_mail([])
    alone.step(Mode.NORMAL)
    assert noted.looks == 2
    alone.step(Mode.ISLAND)
    alone.step(Mode.NORMAL)
    monkeypatch.setattr("probes.agent.home.NEWS_WITHIN_S", 0.0)
    alone.step(Mode.ISLAND)
    alone.step(Mode.NORMAL)  # where no control plane answers
    assert noted.looks == 3


def test_an_agent_that_hears_nobody_becomes_an_island_and_its_worker_ends_with_it(
    alone: Alone,
) -> None:
    run = alone.accept("canary.effect_b", "alone", site="dc1")
    log = alone.folder / "agent.log"
    with log.open("wb") as out:
        agent = subprocess.Popen(
            [sys.executable, "-m", "probes.agent"],
            cwd=REPOSITORY,
            env={**os.environ, "TURTLE_CONFIG": str(alone.config)},
            stdout=out,
            stderr=out,
        )
        try:
            assert eventually(lambda: bool(alone.row(run)["finished_at"]), WITHIN_S), (
                log.read_text()
            )
            (worker,) = psutil.Process(agent.pid).children()
        finally:
            agent.kill()
            agent.wait()
    assert alone.status(run) is RunStatus.SUCCESSFUL
    assert "mode island: nobody was heard for" in log.read_text(encoding="utf-8")
    assert alone.box.database.meta("local_mode") == "island"
    assert '"share": 0.0' in (alone.folder / "intake.json").read_text(encoding="utf-8")
    ended = eventually(lambda: gone(worker.pid), WITHIN_S)
    if not ended:
        os.killpg(worker.pid, signal.SIGKILL)
    assert ended


def test_a_site_owns_the_hardware_that_no_other_has() -> None:
    fleet = topology()
    assert {name: fleet.owned_capabilities(name) for name in fleet.names} == {
        "dc1": ("udm",),
        "dc2": ("openwrt",),
        "dc3": (),
    }
    both = [s.model_copy(update={"capabilities": ("udm", "dev")}) for s in fleet.worker_sites]
    shared = fleet.model_copy(update={"sites": (*both, fleet.control_site)})
    assert [shared.owned_capabilities(name) for name in ("dc1", "dc2")] == [(), ()]


def test_only_hardware_can_be_owned() -> None:
    """A standby can do everything else, so a site would not be alone with it."""
    with pytest.raises(ConfigurationError, match=r"owned_capabilities.*'dev'.*openwrt, udm"):
        load_settings(site="dc1", box="mini-1", owned_capabilities=("dev",))
