"""The journal's tables."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, text
from sqlmodel import Field, SQLModel

from tasks.journal.times import UtcDateTime


def _moment(nullable: bool = False) -> Any:
    return Field(default=None, sa_column=Column(UtcDateTime, nullable=nullable))


class MetaRow(SQLModel, table=True):
    """Single values: the journal's id, the acknowledged sequence number, the token counter."""

    __tablename__ = "meta"
    key: str = Field(primary_key=True)
    value: str


class EntryRow(SQLModel, table=True):
    """A line that the control plane has to hear of; `seq` has no gaps."""

    __tablename__ = "entry"
    __table_args__ = {"sqlite_autoincrement": True}
    seq: int | None = Field(default=None, primary_key=True)
    kind: str
    at: datetime = _moment()
    run_id: str = ""
    token: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    attempt: int = 0
    home: str = ""
    task: str = ""
    worker_id: str = ""
    payload: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))


class ClaimRow(SQLModel, table=True):
    """Who works on a run here, or worked: the newest token only.

    `pid` and `process_started` (seconds since the epoch) together name a process for good.
    """

    __tablename__ = "claim"
    __table_args__ = (
        Index("claim_running", "claimed_at", sqlite_where=text("status = 'RUNNING'")),
    )
    run_id: str = Field(primary_key=True)
    token: int = Field(sa_column=Column(BigInteger, nullable=False))
    attempt: int
    home: str
    task: str
    status: str
    worker_id: str
    pid: int
    process_started: float
    claimed_at: datetime = _moment()
    ended_at: datetime | None = _moment(nullable=True)
    outcome: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))


class WorkerRow(SQLModel, table=True):
    """A worker process of this box, written by itself when it is ready."""

    __tablename__ = "worker"
    id: str = Field(primary_key=True)
    pid: int
    process_started: float
    capabilities: list[str] = Field(sa_column=Column(JSON, nullable=False))
    queues: list[str] = Field(sa_column=Column(JSON, nullable=False))
    slots: int
    version: str
    started_at: datetime = _moment()


class HomeRunRow(SQLModel, table=True):
    """A run that was accepted here: this site is its home."""

    __tablename__ = "home_run"
    __table_args__ = (
        Index(
            "home_run_due",
            "priority",
            "enqueued_at",
            sqlite_where=text("status = 'READY' AND open_attempt = 0"),
        ),
        Index("home_run_open", "run_id", sqlite_where=text("open_attempt = 1")),
    )
    run_id: str = Field(primary_key=True)
    task: str
    args: list[Any] = Field(sa_column=Column(JSON, nullable=False))
    kwargs: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    capability: str
    site: str
    queue_name: str
    priority: int
    effect: str
    max_attempts: int
    status: str
    reason: str = ""
    idempotency_key: str | None = Field(default=None, unique=True)
    content_digest: str
    enqueued_by: str
    group_id: str = ""
    run_after: datetime | None = _moment(nullable=True)
    expires_at: datetime | None = _moment(nullable=True)
    enqueued_at: datetime = _moment()
    last_attempted_at: datetime | None = _moment(nullable=True)
    started_at: datetime | None = _moment(nullable=True)
    finished_at: datetime | None = _moment(nullable=True)
    attempts: int = 0
    token: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    open_attempt: bool = False
    published_at: datetime | None = _moment(nullable=True)
    times_published: int = 0
    seen_at: datetime | None = _moment(nullable=True)
    attempt_queue: str = ""
    attempt_status: str = ""
    worker_id: str = ""
    worker_site: str = ""
    return_value: Any = Field(default=None, sa_column=Column(JSON))
    result_meta: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    error: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
