"""The signed envelope of an attempt: what is signed, and what a worker accepts."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

VERSION = 1
#: An envelope is good for half a day; an attempt that is still wanted then is signed again.
#: Shorter than the broker's visibility timeout: what Redis hands out a second time is refused.
DELIVERY_TTL_MS = 12 * 3600 * 1000
#: Clocks of two sites may differ by this much.
CLOCK_SKEW_MS = 60_000


class Refusal(StrEnum):
    """Why a worker does not execute a message."""

    UNSIGNED = "unsigned"
    MALFORMED = "malformed"
    UNKNOWN_HOME = "unknown home"
    ALTERED = "altered or forged"
    WRONG_QUEUE = "wrong queue"
    EXPIRED = "expired"
    FROM_THE_FUTURE = "issued in the future"
    REPLAYED = "replayed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Everything about one attempt that matters, as the home signed it.

    `token` is the fencing token, `key` the idempotency key ("" for none), times are
    milliseconds since the epoch, UTC.
    """

    task: str
    id: str
    queue: str
    args: list[Any]
    kwargs: dict[str, Any]
    home: str
    token: int
    attempt: int
    key: str
    issued_at_ms: int
    expires_at_ms: int
    v: int = VERSION


#: The part that travels in the message's `turtle` header; the rest is Celery's own.
HEADER_FIELDS = ("v", "queue", "home", "token", "attempt", "key", "issued_at_ms", "expires_at_ms")
_HEADER_TYPES: dict[str, type] = {"queue": str, "home": str, "key": str}


def canonical_json(value: Any) -> bytes:
    """The one byte string for a JSON value: keys sorted, no spaces, UTF-8, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


_SIGNED_FIELDS = tuple(field.name for field in fields(Envelope))


def signed_bytes(envelope: Envelope) -> bytes:
    """What the home's Ed25519 key signs."""
    # Not `asdict`, which copies the arguments deeply: this runs for every message.
    return canonical_json({name: getattr(envelope, name) for name in _SIGNED_FIELDS})


def header(envelope: Envelope, signature: str) -> dict[str, Any]:
    """The `turtle` header of the Celery message; `signature` is base64."""
    fields = {name: getattr(envelope, name) for name in HEADER_FIELDS}
    return {**fields, "sig": signature}


def read(
    task: str, run_id: str, args: Any, kwargs: Any, head: Any
) -> tuple[Envelope, str] | Refusal:
    """Put envelope and signature together from a received message, or say what is wrong."""
    if not isinstance(head, Mapping) or not isinstance(head.get("sig"), str):
        return Refusal.UNSIGNED
    if not isinstance(args, list | tuple) or not isinstance(kwargs, Mapping):
        return Refusal.MALFORMED
    fields = {name: head.get(name) for name in HEADER_FIELDS}
    if any(type(fields[n]) is not _HEADER_TYPES.get(n, int) for n in HEADER_FIELDS):
        return Refusal.MALFORMED
    if fields["v"] != VERSION:
        return Refusal.MALFORMED
    envelope = Envelope(
        task=task,
        id=run_id,
        args=list(args),
        kwargs=dict(kwargs),
        **fields,  # type: ignore[arg-type]
    )
    return envelope, str(head["sig"])


def judge(
    envelope: Envelope,
    *,
    signature_valid: bool,
    homes: Collection[str],
    delivered_from: str,
    now_ms: int,
) -> Refusal | None:
    """Whether a worker may execute this envelope; None is yes.

    `delivered_from` is the queue that the message really came from.
    """
    if envelope.home not in homes:
        return Refusal.UNKNOWN_HOME
    if not signature_valid:
        return Refusal.ALTERED
    if envelope.queue != delivered_from:
        return Refusal.WRONG_QUEUE
    if envelope.issued_at_ms > now_ms + CLOCK_SKEW_MS:
        return Refusal.FROM_THE_FUTURE
    if envelope.expires_at_ms <= now_ms:
        return Refusal.EXPIRED
    return None
