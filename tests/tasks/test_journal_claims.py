"""Claims: who may run an attempt, and how it ended."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psutil
import pytest
from sqlalchemy import update

from fleet.policy.effects import EffectClass
from tasks.journal import Claims, ClaimVerdict, Entries, JournalDatabase
from tasks.journal.processes import is_alive, own_process
from tasks.journal.tables import ClaimRow
from tasks.wire import EntryKind, Outcome, OutcomeStatus
from tests.tasks.envelopes import NOW, RUN, envelope
from tests.tasks.paper import quick_folder

A = EffectClass.A
SUCCESS = Outcome(status=OutcomeStatus.SUCCESSFUL, return_value={"n": 1})
FAILURE = Outcome(status=OutcomeStatus.FAILED, error={"kind": "X", "transient": True})
WORKER = "celery@mini-1"


@pytest.fixture
def database() -> Iterator[JournalDatabase]:
    with quick_folder() as folder:
        journal = JournalDatabase(folder)
        yield journal
        journal.close()


@pytest.fixture
def claims(database: JournalDatabase) -> Claims:
    return Claims(database)


def end_process(database: JournalDatabase) -> None:
    """Name a process that has really ended as the worker of all claims."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with database.write() as connection:
        connection.execute(update(ClaimRow).values(pid=ended.pid))


def lines(database: JournalDatabase) -> list[tuple[str, int]]:
    found = Entries(database).after(0, 100)
    assert [entry.seq for entry in found] == list(range(1, len(found) + 1))
    return [(entry.kind.value, entry.token) for entry in found]


def claim(claims: Claims, token: int, worker: str = WORKER) -> ClaimVerdict:
    return claims.claim(envelope(token=token), A, worker, NOW).verdict


#: What became of token 256, the token that comes then, and the answer.
TABLE = [
    ("nothing", 256, ClaimVerdict.CLAIMED),
    ("running", 255, ClaimVerdict.STALE),
    ("running", 256, ClaimVerdict.RUNNING),
    ("running", 512, ClaimVerdict.CLAIMED),
    ("dead", 255, ClaimVerdict.STALE),
    ("dead", 256, ClaimVerdict.STALE),
    ("dead", 512, ClaimVerdict.CLAIMED),
    ("lost", 255, ClaimVerdict.STALE),
    ("lost", 256, ClaimVerdict.STALE),
    ("lost", 512, ClaimVerdict.CLAIMED),
    ("succeeded", 255, ClaimVerdict.STALE),
    ("succeeded", 256, ClaimVerdict.REPEATED),
    ("succeeded", 512, ClaimVerdict.DONE),
    ("failed", 255, ClaimVerdict.STALE),
    ("failed", 256, ClaimVerdict.REPEATED),
    ("failed", 512, ClaimVerdict.CLAIMED),
]


def bring_about(state: str, database: JournalDatabase, claims: Claims) -> None:
    if state == "nothing":
        return
    assert claim(claims, 256) is ClaimVerdict.CLAIMED
    if state in ("succeeded", "failed"):
        claims.finish(envelope(), SUCCESS if state == "succeeded" else FAILURE, WORKER, NOW)
    if state in ("dead", "lost"):
        end_process(database)
    if state == "lost":
        assert claims.lose_orphans(NOW) == [RUN]


@pytest.mark.parametrize(("state", "token", "verdict"), TABLE)
def test_a_claim_is_answered_by_what_the_journal_holds(
    state: str, token: int, verdict: ClaimVerdict, database: JournalDatabase, claims: Claims
) -> None:
    bring_about(state, database, claims)
    assert claim(claims, token) is verdict


def test_class_d_is_not_started_beside_an_older_attempt_that_still_runs(
    database: JournalDatabase, claims: Claims
) -> None:
    claims.claim(envelope(token=256), EffectClass.D, WORKER, NOW)
    newer = envelope(token=512)
    beside = claims.claim(newer, EffectClass.D, WORKER, NOW)
    assert beside.verdict is ClaimVerdict.RUNNING
    assert [row["token"] for row in claims.running()] == [256]
    end_process(database)
    after = claims.claim(newer, EffectClass.D, WORKER, NOW)
    assert after.verdict is ClaimVerdict.CLAIMED


def test_a_claim_and_its_end_are_two_lines_for_the_control_plane(
    database: JournalDatabase, claims: Claims
) -> None:
    claim(claims, 256)
    assert claims.finish(envelope(), SUCCESS, WORKER, NOW)
    assert lines(database) == [("claimed", 256), ("finished", 256)]
    finished = Entries(database).after(1, 1)[0]
    assert Outcome(**finished.payload) == SUCCESS
    assert (finished.run_id, finished.home, finished.worker_id) == (RUN, "control", WORKER)


def test_a_run_that_is_done_reports_its_stored_outcome_for_the_new_attempt(
    database: JournalDatabase, claims: Claims
) -> None:
    bring_about("succeeded", database, claims)
    assert claim(claims, 512, "another worker") is ClaimVerdict.DONE
    assert lines(database)[2:] == [("claimed", 512), ("finished", 512)]
    assert Outcome(**Entries(database).after(3, 1)[0].payload) == SUCCESS
    assert claim(claims, 256) is ClaimVerdict.STALE


def test_only_the_attempt_that_holds_the_claim_can_close_it(
    database: JournalDatabase, claims: Claims
) -> None:
    claim(claims, 256)
    end_process(database)
    claims.lose_orphans(NOW)
    assert claim(claims, 512) is ClaimVerdict.CLAIMED
    assert not claims.finish(envelope(token=256), FAILURE, WORKER, NOW)
    assert [row["token"] for row in claims.running()] == [512]
    assert claims.finish(envelope(token=512), SUCCESS, WORKER, NOW)
    assert claims.running() == []


def test_a_second_end_of_the_same_attempt_changes_nothing(
    database: JournalDatabase, claims: Claims
) -> None:
    claim(claims, 256)
    assert claims.finish(envelope(), SUCCESS, WORKER, NOW)
    assert not claims.finish(envelope(), FAILURE, WORKER, NOW)
    assert claim(claims, 256) is ClaimVerdict.REPEATED
    assert Outcome(**Entries(database).after(0, 100)[-1].payload) == SUCCESS


def test_a_claim_whose_process_lives_is_no_orphan(claims: Claims) -> None:
    claim(claims, 256)
    assert claims.lose_orphans(NOW) == []
    assert len(claims.running()) == 1


def test_an_orphan_is_lost_once(database: JournalDatabase, claims: Claims) -> None:
    claim(claims, 256)
    end_process(database)
    assert claims.lose_orphans(NOW) == [RUN]
    assert claims.lose_orphans(NOW) == []
    assert lines(database) == [("claimed", 256), ("lost", 256)]
    assert Entries(database).after(1, 1)[0].kind is EntryKind.LOST


def test_the_same_pid_with_another_start_is_another_process() -> None:
    pid, started = own_process()
    assert is_alive(pid, started)
    assert not is_alive(pid, started - 1.0)


def test_a_zombie_does_not_count_as_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = psutil.Process(child.pid).create_time()
    assert is_alive(child.pid, started)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE
    assert not is_alive(child.pid, started)
    child.communicate()
    assert not is_alive(child.pid, started)


def test_only_claims_that_ended_before_are_forgotten(
    database: JournalDatabase, claims: Claims
) -> None:
    claim(claims, 256)
    assert claims.forget_before(NOW + timedelta(days=9)) == 0
    claims.finish(envelope(), SUCCESS, WORKER, NOW)
    assert claims.forget_before(NOW) == 0
    assert claims.forget_before(NOW + timedelta(seconds=1)) == 1


def test_the_claims_of_one_home_are_told_apart(claims: Claims) -> None:
    claim(claims, 256)
    other = envelope(id="another", home="dc1", token=257)
    claims.claim(other, A, WORKER, NOW)
    assert [row["run_id"] for row in claims.of_home("dc1", [RUN, "another"])] == ["another"]


def test_a_claim_of_class_d_is_forced_to_the_disk(
    database: JournalDatabase, claims: Claims
) -> None:
    """Asks SQLite itself, in the connection that has just written."""
    levels: dict[EffectClass, Any] = {}
    for token, effect in enumerate(EffectClass, start=1):
        claims.claim(envelope(id=f"run {token}", token=token), effect, WORKER, NOW)
        with database.read() as connection:
            levels[effect] = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
    assert levels == {EffectClass.A: 1, EffectClass.B: 1, EffectClass.C: 1, EffectClass.D: 2}
