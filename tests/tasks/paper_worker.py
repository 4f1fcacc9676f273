"""A worker's process without Celery's own loop: messages are handed to the task directly."""

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import Reject
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fleet.policy.envelope import Envelope, Refusal, header
from tasks import canary
from tasks.box import Box
from tasks.settings import load_settings
from tasks.signing import sign
from tasks.wire import EntryKind, Outcome
from tests.tasks.envelopes import envelope

KEY, FORGER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
PUBLIC = base64.b64encode(KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
WORKER = "celery@mini-1"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def fresh(**fields: Any) -> Envelope:
    """An envelope that is good for a minute."""
    usual = {"issued_at_ms": now_ms(), "expires_at_ms": now_ms() + 60_000}
    return envelope(**(usual | fields))


@dataclass
class Worker:
    """A worker's process on the box `dc1/mini-1`, and what its task was called with."""

    box: Box
    work: Callable[[Any], Any] = lambda value: value
    ran: list[Any] = field(default_factory=list)

    def run(self, value: Any) -> Any:
        self.ran.append(value)
        return self.work(value)

    def deliver(
        self, sent: Envelope, *, key: Ed25519PrivateKey = KEY, head: Any = None, **request: Any
    ) -> Any:
        """Deliver a message as Celery's worker does, and run its task."""
        usual = {
            "id": sent.id,
            "hostname": WORKER,
            "called_directly": False,
            "delivery_info": {"routing_key": sent.queue},
            "turtle": header(sent, sign(key, sent)) if head is None else head,
        }
        canary.echo.push_request(**(usual | request))
        try:
            return canary.echo(*sent.args, **sent.kwargs)
        finally:
            canary.echo.pop_request()

    def kinds(self) -> list[EntryKind]:
        return [entry.kind for entry in self.box.entries.after(0, 100)]

    def outcome(self) -> Outcome:
        last = self.box.entries.after(0, 100)[-1]
        assert last.kind is EntryKind.FINISHED
        return Outcome(**last.payload)

    def refused(self, delivery: Callable[[], Any], refusal: Refusal) -> None:
        """The delivery is refused for this reason, written down, and nothing has run."""
        with pytest.raises(Reject, match=refusal.value) as reject:
            delivery()
        assert not reject.value.requeue
        assert self.ran == []
        assert self.box.claims.running() == []
        (entry,) = self.box.entries.after(0, 100)
        assert (entry.kind, entry.payload) == (EntryKind.REFUSED, {"refusal": refusal.value})
        assert (entry.worker_id, entry.task) == (WORKER, "canary.echo")


def box_in(folder: Path) -> Box:
    """A box whose worker accepts the control plane's envelopes."""
    return Box(
        load_settings(
            site="dc1",
            box="mini-1",
            state_dir=folder,
            homes={"control": {"public_key": PUBLIC, "number": 0}},
        )
    )
