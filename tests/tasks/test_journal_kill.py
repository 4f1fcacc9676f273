"""Processes killed with SIGKILL at every statement of what they do to a journal."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from fleet.policy.effects import EffectClass
from tasks.box import Box
from tasks.home.journal_store import JournalStore
from tasks.journal import ClaimVerdict
from tasks.journal.tables import ClaimRow, HomeRunRow
from tests.tasks.envelopes import NOW, RUN, envelope
from tests.tasks.journal_victim import RUNS, box_in
from tests.tasks.paper import quick_folder

CLAIMED, FINISHED, LOST = "claimed", "finished", "lost"


def killed(base: Path, work: str, at_least: int) -> list[Box]:
    """The journals that victims left behind, killed before step 1, 2, 3 and so on."""
    command = [sys.executable, "-m", "tests.tasks.journal_victim", str(base), work]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    total = int(done.stdout)
    assert total >= at_least
    return [box_in(base / str(last)) for last in range(1, total + 1)]


@pytest.fixture
def base() -> Iterator[Path]:
    with quick_folder() as folder:
        yield folder


def check_whole(box: Box) -> list[str]:
    """The file is sound and its lines have no gap; returns their kinds."""
    with box.database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    entries = box.entries.after(0, 100)
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    return [entry.kind.value for entry in entries]


def status(box: Box) -> str | None:
    with box.database.read() as connection:
        found = connection.execute(select(ClaimRow.__table__.c.status))  # type: ignore[attr-defined]
        text: str | None = found.scalar_one_or_none()
        return text


def test_a_worker_killed_at_any_step_is_noticed_and_its_token_never_starts_again(
    base: Path,
) -> None:
    seen = set()
    for box in killed(base, "worker", at_least=12):
        kinds, effects = check_whole(box), box.settings.state_dir / "effect"
        times = len(effects.read_text()) if effects.exists() else 0
        seen.add((status(box), times))
        if status(box) is None:
            assert (kinds, times) == ([], 0)
            assert box.claims.lose_orphans(NOW) == []
            assert claim(box, 256) is ClaimVerdict.CLAIMED
        elif status(box) == "RUNNING":
            assert kinds == [CLAIMED]
            assert box.claims.lose_orphans(NOW) == [RUN]
            assert check_whole(box) == [CLAIMED, LOST]
            assert claim(box, 256) is ClaimVerdict.STALE
            assert claim(box, 512) is ClaimVerdict.CLAIMED
        else:
            assert (kinds, times) == ([CLAIMED, FINISHED], 1)
            assert claim(box, 256) is ClaimVerdict.REPEATED
        box.database.close()
    assert seen >= {(None, 0), ("RUNNING", 0), ("RUNNING", 1)}


def claim(box: Box, token: int) -> ClaimVerdict:
    return box.claims.claim(envelope(token=token), EffectClass.D, "celery@mini-1", NOW).verdict


def test_a_program_killed_while_enqueueing_has_enqueued_all_or_nothing(base: Path) -> None:
    for box in killed(base, "program", at_least=6):
        kinds = check_whole(box)
        with box.database.read() as connection:
            rows = len(connection.execute(select(HomeRunRow)).all())
        assert (rows, len(kinds)) in [(0, 0), (RUNS, RUNS)]
        assert set(kinds) <= {"mirror"}
        box.database.close()


def test_a_home_killed_while_it_hands_out_tokens_has_handed_out_all_or_none(base: Path) -> None:
    for box in killed(base, "home", at_least=7):
        check_whole(box)
        store = JournalStore(box.database, "dc1", 1, list)
        before = [attempt.token for attempt in store.under_way()]
        assert len(before) in (0, RUNS)
        again = store.open_attempts([(run.run_id, "dev") for run in store.due(NOW, 10, ())], NOW)
        assert len(before) + len(again) == RUNS
        tokens = before + [dispatch.token for dispatch in again]
        assert len(set(tokens)) == RUNS
        box.database.close()
