"""The word on how much this box's workers may take: written by its agent, obeyed by them.

A file, since a worker must read it between two tasks without asking anybody.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from fleet.policy.errors import StorageError
from fleet.policy.intake import Intake, limit
from fleet.policy.routing import split_queue
from tasks.boot import boot_id, boot_s

FILE = "intake.json"


class IntakeFile:
    """The last word; a file that is missing or damaged is no word."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE
        self._seen: tuple[int, int] | None = None
        self._word: Intake | None = None

    def write(self, word: Intake | None) -> None:
        """Replace the word at once and whole; None revokes it. Raises StorageError."""
        try:
            if word is None:
                self._path.unlink(missing_ok=True)
                return
            text = json.dumps({name: getattr(word, name) for name in word.__dataclass_fields__})
            fresh = self._path.with_suffix(".new")
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(self._path)
        except OSError as error:
            raise StorageError(f"cannot write {self._path}: {error.strerror}") from error

    def read(self) -> Intake | None:
        """The word as it stands now."""
        try:
            state = self._path.stat()
            seen = (state.st_mtime_ns, state.st_ino)
            if seen != self._seen:
                self._word = Intake(**json.loads(self._path.read_text(encoding="utf-8")))
                self._seen = seen
        except (OSError, ValueError, TypeError):
            self._seen, self._word = None, None
        return self._word


class IntakeGate:
    """What a worker asks before it takes a message, and again before it starts a task.

    `busy` counts the tasks that the worker has taken and not finished.
    """

    def __init__(
        self, file: IntakeFile, *, slots: int, standby: bool, busy: Callable[[], int]
    ) -> None:
        self._file, self._slots, self._standby, self._busy = file, slots, standby, busy

    def may_take(self) -> bool:
        """Whether another message may be asked for."""
        allowed, _ = self._limit()
        return self._busy() < allowed

    def queues(self, names: Sequence[str]) -> list[str]:
        """Those of the queues that may be asked now."""
        word = self._file.read()
        if word is None or not word.pinned_only:
            return list(names)
        return [name for name in names if split_queue(name)[1]]

    def refusal(self) -> str:
        """Why no task may start now; "" when one may."""
        allowed, reason = self._limit()
        return "" if allowed else reason

    def _limit(self) -> tuple[int, str]:
        return limit(
            self._file.read(),
            slots=self._slots,
            now_s=boot_s(),
            boot_id=boot_id(),
            standby=self._standby,
        )
