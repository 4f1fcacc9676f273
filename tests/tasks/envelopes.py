"""Envelopes and moments for the tests of journal and worker."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from fleet.policy.envelope import Envelope

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
RUN = "0190aaaa-0000-7000-8000-000000000001"
_USUAL = Envelope(
    task="canary.echo",
    id=RUN,
    queue="dev",
    args=[1],
    kwargs={},
    home="control",
    token=256,
    attempt=1,
    key="",
    issued_at_ms=0,
    expires_at_ms=1 << 60,
)


def envelope(**fields: Any) -> Envelope:
    """A usual envelope, with other values in some fields."""
    return replace(_USUAL, **fields)
