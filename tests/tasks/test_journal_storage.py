"""Disks that are full, files that may not be written, and processes that fork."""

import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event

from fleet.policy.effects import EffectClass
from fleet.policy.errors import StorageError
from tasks.journal import Claims, Entries, JournalDatabase
from tests.tasks.envelopes import NOW, envelope
from tests.tasks.paper import quick_folder

A = EffectClass.A


@pytest.fixture
def database() -> Iterator[JournalDatabase]:
    with quick_folder() as folder:
        journal = JournalDatabase(folder / "state")
        journal.probe()
        yield journal
        journal.close()


def limit_pages(database: JournalDatabase, more: int) -> None:
    """SQLite answers as it does on a full disk once the file would grow by more pages."""

    def limit(connection: object, _record: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        (pages,) = cursor.execute("PRAGMA page_count").fetchone()
        cursor.execute(f"PRAGMA max_page_count={pages + more}")
        cursor.close()

    database.close()
    event.listen(database.engine(), "connect", limit)
    database.engine().dispose()


def claim_many(claims: Claims) -> None:
    for token in range(1, 200):
        claims.claim(envelope(id=f"run {token} " + "x" * 500, token=token), A, "w", NOW)


def refuse_many(entries: Entries) -> None:
    for _ in range(1000):
        entries.record_refusal(NOW, payload={"detail": "x" * 30_000})


def fail_midway(database: JournalDatabase) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("INSERT INTO meta (key, value) VALUES ('half', '1')")
        raise ZeroDivisionError


def test_a_full_journal_refuses_with_the_reason_and_keeps_what_it_had(
    database: JournalDatabase,
) -> None:
    claims, entries = Claims(database), Entries(database)
    claims.claim(envelope(), A, "celery@mini-1", NOW)
    limit_pages(database, more=1)
    with pytest.raises(StorageError, match="full") as refused:
        claim_many(claims)
    assert str(database.path) in str(refused.value)
    assert refused.value.transient
    assert len(claims.running()) == entries.pending() > 0


def test_a_journal_that_was_full_takes_claims_again_when_there_is_room(
    database: JournalDatabase,
) -> None:
    claims, big = Claims(database), envelope(id="x" * 9000)
    limit_pages(database, more=1)
    with pytest.raises(StorageError, match="full"):
        claims.claim(big, A, "w", NOW)
    database.close()
    assert claims.claim(big, A, "w", NOW).verdict == "claimed"


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    """A file system of one megabyte; only root may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        fill_disk(disk)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def fill_disk(disk: Path) -> None:
    database = JournalDatabase(disk / "state")
    database.probe()
    entries, claims = Entries(database), Claims(database)
    claims.claim(envelope(), A, "w", NOW)
    with pytest.raises(StorageError, match="full"):
        refuse_many(entries)
    assert [entry.seq for entry in entries.after(0, 1000)] == list(range(1, entries.pending() + 1))
    assert [row["token"] for row in claims.running()] == [256]
    database.close()


def test_a_folder_that_cannot_be_made_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"journal .*file/state.*[Nn]ot a directory"):
        JournalDatabase(tmp_path / "file" / "state").probe()


def test_a_read_only_journal_is_told_as_such(database: JournalDatabase) -> None:
    with database.engine().connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only=ON")
    with pytest.raises(StorageError, match="readonly"):
        Claims(database).claim(envelope(), A, "w", NOW)
    with database.engine().connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only=OFF")
    assert Claims(database).running() == []


def test_a_file_that_is_no_journal_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite3").write_bytes(b"this is no database " * 300)
    with pytest.raises(StorageError, match="not a database"):
        JournalDatabase(tmp_path).probe()


def test_another_writer_is_waited_for(database: JournalDatabase) -> None:
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with database.write() as connection:
            connection.exec_driver_sql("INSERT INTO meta (key, value) VALUES ('first', '1')")
            held.set()
            release.wait(10)

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(10)
    timer = threading.Timer(0.1, release.set)
    timer.start()
    database.probe()
    other.join(10)
    assert database.meta("first") == "1"
    assert database.meta("probed")


def test_an_error_of_the_caller_rolls_back_and_passes_through(database: JournalDatabase) -> None:
    with pytest.raises(ZeroDivisionError):
        fail_midway(database)
    assert database.meta("half", "nothing") == "nothing"


def test_nobody_else_can_read_the_journal(database: JournalDatabase) -> None:
    Claims(database).claim(envelope(), A, "w", NOW)
    files = list(database.path.parent.iterdir())
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_the_journal_keeps_its_id_and_a_new_one_has_another(database: JournalDatabase) -> None:
    same = JournalDatabase(database.path.parent)
    assert same.journal_id() == database.journal_id()
    same.close()
    other = JournalDatabase(database.path.parent / "other")
    assert other.journal_id() != database.journal_id()
    other.close()


FORKS = """
import os, sys
from pathlib import Path
from fleet.policy.effects import EffectClass
from tasks.journal import Claims, JournalDatabase
from tests.tasks.envelopes import NOW, envelope

database = JournalDatabase(Path(sys.argv[1]))
claims = Claims(database)
claims.claim(envelope(id="parent", token=1), EffectClass.A, "w", NOW)
children = []
for number in range(4):
    pid = os.fork()
    if pid == 0:
        for n in range(10):
            run = envelope(id=f"{number} {n}", token=n + 1)
            claims.claim(run, EffectClass.A, "w", NOW)
        database.close()
        os._exit(0)
    children.append(pid)
for n in range(10):
    claims.claim(envelope(id=f"parent {n}", token=n + 1), EffectClass.A, "w", NOW)
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
"""


def test_parent_and_children_write_the_same_journal(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FORKS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    database = JournalDatabase(tmp_path)
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
        pids = connection.exec_driver_sql("SELECT DISTINCT pid FROM claim").all()
    assert len(pids) == 5
    seqs = [entry.seq for entry in Entries(database).after(0, 1000)]
    assert seqs == list(range(1, 52))
    database.close()
    shutil.rmtree(tmp_path)


KEEPS = """
import os, signal, subprocess, sys
from pathlib import Path
from fleet.policy.effects import EffectClass
from tasks.journal import Claims, JournalDatabase
from tests.tasks.envelopes import NOW, envelope

folder = Path(sys.argv[1])
if len(sys.argv) > 2:
    database = JournalDatabase(folder)
    Claims(database).claim(envelope(id="another program", token=1), EffectClass.A, "w", NOW)
    database.close()
    sys.exit()
database = JournalDatabase(folder)
claims = Claims(database)
claims.claim(envelope(id="parent", token=1), EffectClass.A, "w", NOW)
(ready, tell_ready), (go, tell_go) = os.pipe(), os.pipe()
pid = os.fork()
if pid == 0:
    claims.claim(envelope(id="child", token=1), EffectClass.A, "w", NOW)
    os.write(tell_ready, b"x")
    os.read(go, 1)
    claims.claim(envelope(id="child again", token=1), EffectClass.A, "w", NOW)
    os.kill(os.getpid(), signal.SIGKILL)
os.read(ready, 1)
database.close()
subprocess.run([sys.executable, *sys.orig_argv[1:], "another"], check=True)
os.write(tell_go, b"x")
os.waitpid(pid, 0)
"""


def test_what_a_child_writes_is_kept_when_its_parent_closes(tmp_path: Path) -> None:
    """The parent is the last that SQLite knows of: it would clear the log under the child."""
    command = [sys.executable, "-c", KEEPS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    database = JournalDatabase(tmp_path)
    runs = [row["run_id"] for row in Claims(database).running()]
    assert runs == ["parent", "child", "another program", "child again"]
    database.close()
