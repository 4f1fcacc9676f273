"""The reports that a box's agent sends, and the answers: JSON over HTTPS, version 1."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

VERSION = 1
#: Most entries in one report; the rest follows in the next.
MAX_ENTRIES = 500


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OutcomeStatus(StrEnum):
    SUCCESSFUL = "SUCCESSFUL"
    FAILED = "FAILED"


class Outcome(_Wire):
    """How an attempt ended, as its worker saw it.

    `return_value` is null when the result stays at the site; `result_meta` then has its digest
    (SHA-256), `size_bytes`, `summary` and `place`. `error` is an ErrorRecord.
    `asked_delay_s` is the delay before another attempt that the task asked for.
    """

    status: OutcomeStatus
    return_value: Any = None
    result_meta: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    asked_delay_s: float | None = None
    duration_s: float = 0.0


class EntryKind(StrEnum):
    CLAIMED = "claimed"
    FINISHED = "finished"
    LOST = "lost"
    REFUSED = "refused"
    MIRROR = "mirror"


class Entry(_Wire):
    """One line of a journal. `seq` counts from 1 without gaps; `at` is UTC.

    `claimed`, `finished` and `lost` name run, token, attempt, home, task and worker;
    `refused` says in `payload` what was refused and why; `mirror` carries a site's own run.
    """

    seq: int = Field(ge=1)
    kind: EntryKind
    at: datetime
    run_id: str = ""
    token: int = Field(0, ge=0, lt=1 << 62)
    attempt: int = Field(0, ge=0, lt=1 << 15)
    home: str = ""
    task: str = ""
    worker_id: str = ""
    payload: dict[str, Any] = Field(default_factory=dict)


class WorkerState(_Wire):
    """A Celery worker of the box, as its agent sees the process."""

    id: str = Field(max_length=120)
    pid: int
    capabilities: list[str]
    queues: list[str]
    slots: int
    busy: int
    version: str
    started_at: datetime
    alive: bool


class Heartbeat(_Wire):
    """What a box says of itself every few seconds; the newest counts, none is kept for later."""

    at: datetime
    workers: list[WorkerState] = Field(default_factory=list)
    running: list[tuple[str, int]] = Field(
        default_factory=list, description="Run id and token of every claim that is being worked on"
    )
    host: dict[str, Any] = Field(default_factory=dict)
    links: dict[str, Any] = Field(default_factory=dict)
    broker: dict[str, Any] = Field(default_factory=dict)
    pending: int = 0
    trouble: str = ""
    epoch: int = Field(0, ge=0, description="The fleet's epoch as this box knows it")
    row: dict[str, Any] | None = Field(
        None, description="The site's signed row of who hears whom; one box of a site sends it"
    )
    verdicts: dict[str, Any] = Field(
        default_factory=dict, description="What this site judges of the others, with reasons"
    )
    mode: str = Field(
        "", max_length=20, description="The site's own mode: normal, lan-only or island"
    )


class Report(_Wire):
    """Entries in order from `first_seq`, and a heartbeat."""

    v: int = VERSION
    site: str
    box: str
    journal: UUID
    first_seq: int = Field(ge=1)
    entries: list[Entry] = Field(default_factory=list, max_length=MAX_ENTRIES)
    heartbeat: Heartbeat | None = None
    mail_ack: int = Field(0, description="Number of the last piece of mail that was taken in")


class Mail(_Wire):
    """Something that the site's home must hear."""

    id: int
    kind: str
    payload: dict[str, Any]


class Ack(_Wire):
    """`ack` is the sequence number up to which everything is committed."""

    v: int = VERSION
    ack: int
    mail: list[Mail] = Field(default_factory=list)
    epoch: int = Field(0, ge=0, description="The fleet's epoch")
    rows: list[dict[str, Any]] = Field(
        default_factory=list, description="The other sites' signed rows, each with its `age_ms`"
    )
    intake: dict[str, Any] | None = Field(
        None, description="How much the site's workers may take while the site returns"
    )
    maintenance_left_s: float = Field(
        0.0, ge=0, description="For how long a planned stop of the site still holds; 0: none"
    )
