"""Which faults are on: `faults.json`, so that every one of them can be undone."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from deploy.lab.errors import LabError
from deploy.lab.files import private_folder, write_private
from deploy.lab.processes import ProcessRecord


class FaultKind(StrEnum):
    """What is broken; the words of the command line."""

    KILL = "kill"
    STOP = "stop"
    CUT_SITE = "cut-site"
    CUT_LINK = "cut-link"
    CUT_ONEWAY = "cut-oneway"
    CUT_OVERLAY = "cut-overlay"
    BLOCK_PORT = "block-port"
    SLOW_LINK = "slow-link"
    FILL_DISK = "fill-disk"
    SKEW_CLOCK = "skew-clock"
    API_ERRORS = "api-errors"


class Fault(BaseModel):
    """One fault that is on.

    `where`: the sites, process or port, as on the command line. `options`: numbers that belong
    to the kind (milliseconds, seconds). `helper`: the process that makes the fault, if any.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: FaultKind
    where: tuple[str, ...]
    options: dict[str, float | str] = {}
    since: datetime = Field(default_factory=lambda: datetime.now(UTC))
    helper: ProcessRecord | None = None

    @property
    def id(self) -> str:
        """The name by which it is healed: `cut-link dc1 dc2`."""
        return " ".join((self.kind, *self.where))


_FAULTS = TypeAdapter(tuple[Fault, ...])


@dataclass(frozen=True, slots=True)
class FaultFile:
    """The faults that are on, on disk."""

    path: Path

    def read(self) -> tuple[Fault, ...]:
        """All faults that are on, oldest first; raises LabError for a damaged file."""
        if not self.path.is_file():
            return ()
        try:
            return _FAULTS.validate_json(self.path.read_text(encoding="utf-8"))
        except ValidationError as error:
            raise LabError(f"{self.path} is damaged; run: turtle lab down") from error

    def add(self, fault: Fault) -> None:
        """Remember a fault; one of the same id is replaced."""
        self._write((*(f for f in self.read() if f.id != fault.id), fault))

    def remove(self, fault_id: str) -> None:
        """Forget a fault; none of this id is fine."""
        self._write(tuple(f for f in self.read() if f.id != fault_id))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One change at a time, also between programs."""
        private_folder(self.path.parent)
        with self.path.with_suffix(".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _write(self, faults: tuple[Fault, ...]) -> None:
        write_private(self.path, _FAULTS.dump_json(faults, indent=2).decode() + "\n")
