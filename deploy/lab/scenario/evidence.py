"""What is kept of a red case: logs, the ledger, and who heard whom over the time."""

import contextlib
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.lab.paths import LabPaths
from deploy.lab.scenario.witness import Witness

#: The end of a log that is kept; a case lasts a minute or two.
LOG_BYTES = 2_000_000
LOOK_EVERY_S = 1.0
BUSY_S = 2.0
#: What the control plane has heard of each site; columns that a version lacks are left out.
COLUMNS = ("name", "row", "row_at", "verdict", "verdict_reason", "verdicts", "recovery")


@dataclass(frozen=True, slots=True)
class Ledger:
    """The control plane's database, read beside it."""

    path: Path

    def copy(self, target: Path) -> None:
        """A copy that is consistent in itself, taken while the ledger is in use."""
        with closing(self._open()) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)

    def sites(self) -> list[dict[str, Any]]:
        """What is known of each site now."""
        with closing(self._open()) as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute("SELECT * FROM fleet_site").fetchall()
        return [{key: row[key] for key in row.keys() if key in COLUMNS} for row in rows]  # noqa: SIM118

    def is_normal(self) -> bool:
        """Whether the fleet is in its normal mode and no site is on its way back."""
        with closing(self._open()) as connection:
            modes = {row[0] for row in connection.execute("SELECT mode FROM fleet_fleetstate")}
            found = connection.execute("SELECT COUNT(*) FROM fleet_site WHERE recovery <> ''")
            return modes <= {"normal"} and not found.fetchone()[0]

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=BUSY_S)


@contextmanager
def watched(ledger: Ledger, out: Path) -> Iterator[None]:
    """Write `matrix.jsonl` while the block runs: a line a second with every site's row."""
    ended, witness = threading.Event(), Witness(out)

    def look() -> None:
        while not ended.wait(LOOK_EVERY_S):
            with contextlib.suppress(sqlite3.Error):
                witness.write(at=time.time(), monotonic_s=time.monotonic(), sites=ledger.sites())

    thread = threading.Thread(target=look, name="matrix", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def keep(paths: LabPaths, ledger: Ledger, folder: Path) -> None:
    """Add to a red case's folder what a person needs who was not there."""
    with contextlib.suppress(sqlite3.Error):
        ledger.copy(folder / "ledger.sqlite3")
    for log in paths.root.glob("*/log/*.log"):
        target = folder / "log" / log.relative_to(paths.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy_end(log, target)
    for journal in paths.root.glob("*/state/journal.sqlite3*"):
        target = folder / "journal" / journal.relative_to(paths.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):
            shutil.copyfile(journal, target)


def _copy_end(log: Path, target: Path) -> None:
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_BYTES))
        target.write_bytes(file.read())
