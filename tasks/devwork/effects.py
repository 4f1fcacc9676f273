"""A sink whose effects can be counted: one JSON line each, in `effects.jsonl`."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fleet.policy.effects import EffectClass
from fleet.policy.errors import RefusedError, StorageError
from tasks.devwork.locking import exclusive
from tasks.settings import settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Who writes to the sink: the effect's key and class, the run and its fencing token."""

    key: str
    effect: EffectClass
    run_id: str
    token: int


class EffectSink:
    """The file of effects of this box. Every line is written under its lock and synced."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "effects.jsonl"
        self.lock = folder / "effects.lock"

    def start(self, stamp: Stamp) -> None:
        """Write that an attempt started."""
        with exclusive(self.lock):
            self._append(stamp, "start")

    def effect(self, stamp: Stamp) -> bool:
        """Write the effect; False when class B finds that its key has taken effect already.

        Raises RefusedError when class C finds a token that is as new as its own, or newer. The
        look and the line are one step under the lock.
        """
        with exclusive(self.lock):
            if stamp.effect is EffectClass.B and list(self._effects(stamp)):
                return False
            if stamp.effect is EffectClass.C:
                self._refuse_stale(stamp)
            self._append(stamp, "effect")
        return True

    def _refuse_stale(self, stamp: Stamp) -> None:
        newest = max(self._effects(stamp), default=None)
        if newest is not None and stamp.token <= newest:
            raise RefusedError(
                f"token {stamp.token} for {stamp.key!r} is not newer than {newest}, "
                "which has taken effect"
            )

    def _effects(self, stamp: Stamp) -> Iterator[int]:
        """The tokens with which this key has taken effect in this class."""
        quoted = json.dumps(stamp.key)
        for text in self._lines():
            if quoted not in text:
                continue
            line = _parsed(text)
            token = line.get("token")
            found = (line.get("event"), line.get("key"), line.get("class"))
            if found == ("effect", stamp.key, stamp.effect.value) and isinstance(token, int):
                yield token

    def _lines(self) -> Iterator[str]:
        if self.path.exists():
            with self.path.open(encoding="utf-8", errors="replace") as lines:
                yield from lines

    def _append(self, stamp: Stamp, event: str) -> None:
        data = (json.dumps(_line(stamp, event)) + "\n").encode()
        try:
            self._write(data)
        except OSError as error:
            raise StorageError(f"cannot write {self.path}: {error.strerror}") from error

    def _write(self, data: bytes) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                data = b"\n" + data  # a full disk cut the line before: do not join it
            if os.write(descriptor, data) != len(data):
                raise StorageError(f"{self.path}: the line was cut; is the disk full?")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _line(stamp: Stamp, event: str) -> dict[str, object]:
    place = settings()
    return {
        "key": stamp.key,
        "event": event,
        "class": stamp.effect.value,
        "run_id": stamp.run_id,
        "token": stamp.token,
        "site": place.site,
        "box": place.box,
        "pid": os.getpid(),
        "time": datetime.now(UTC).isoformat(),
        "monotonic_s": time.monotonic(),
    }


def _parsed(text: str) -> dict[str, object]:
    try:
        line = json.loads(text)
    except ValueError:
        return {}
    return line if isinstance(line, dict) else {}
