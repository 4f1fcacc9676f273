"""Diagram, tables and examples of the protocol, from the policy that the code follows."""

import base64
from collections.abc import Iterator
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.papers.markdown import table
from fleet.policy import envelope, liveness, reconcile, states, window
from fleet.policy.envelope import Envelope
from fleet.policy.reconcile import Observed
from fleet.policy.states import AttemptStatus
from fleet.policy.tokens import make_token
from tasks import producer, wire
from tasks.signing import sign


def diagram() -> str:
    """All states and transitions of a run."""
    return f"```mermaid\n{states.diagram()}\n```"


def numbers() -> str:
    """The times and sizes that the protocol depends on."""
    rows = (
        (liveness.HEARTBEAT_S, "s", "an agent sends a heartbeat"),
        (liveness.SUSPECT_AFTER_S, "s", "silence after which a worker or site is suspect"),
        (liveness.DEAD_AFTER_S, "s", "silence after which it is dead"),
        (liveness.CLAIM_LEASE_S, "s", "a heartbeat that names a claim renews its lease for"),
        (reconcile.LEASE_GRACE_S, "s", "added to a lease before it counts as lost"),
        (reconcile.UNMARKED_AFTER_S, "s", "an attempt without the mark of its publication waits"),
        (reconcile.MISSING_AFTER_S, "s", "a published attempt may be nowhere, at the first time"),
        (reconcile.MISSING_AT_MOST_S, "s", "the same, at most, after many publications"),
        (envelope.DELIVERY_TTL_MS / 3_600_000, "h", "an envelope is valid"),
        (envelope.CLOCK_SKEW_MS / 1000, "s", "clocks of two sites may differ"),
        (window.MIN_WINDOW, "runs", "smallest window of a queue in the broker"),
        (wire.MAX_ENTRIES, "lines", "most journal lines in one report"),
        (producer.MAX_PENDING, "lines", "unreported lines after which a box refuses new calls"),
    )
    return table(("value", "what"), ((f"{value:g} {unit}", what) for value, unit, what in rows))


def decisions() -> str:
    """What the reconciler does, as the policy itself answers."""
    rows = ((label, *_decided(attempt)) for label, attempt in _cases())
    return table(("an attempt is", "decision", "its reason"), rows)


def _decided(attempt: Observed) -> tuple[str, str]:
    decision = reconcile.decide(attempt)
    return str(decision.action), decision.reason


def _cases() -> Iterator[tuple[str, Observed]]:
    created = Observed(
        status=AttemptStatus.CREATED,
        published_age_s=1,
        times_published=0,
        seen_age_s=None,
        in_broker=False,
    )
    sent = replace(created, status=AttemptStatus.PUBLISHED, times_published=1)
    running = replace(sent, status=AttemptStatus.RUNNING, seen_age_s=5)
    late_s = reconcile.MISSING_AFTER_S
    yield "CREATED, just now", created
    yield (
        "CREATED, and still not marked",
        replace(created, published_age_s=reconcile.UNMARKED_AFTER_S),
    )
    yield (
        "PUBLISHED, in a list of the broker",
        replace(sent, in_broker=True, published_age_s=late_s),
    )
    yield "PUBLISHED, broker does not answer", replace(sent, in_broker=None, published_age_s=late_s)
    yield "PUBLISHED, nowhere, for a moment", sent
    yield "PUBLISHED, nowhere, for too long", replace(sent, published_age_s=late_s)
    yield (
        "published three times, nowhere, for as long",
        replace(sent, published_age_s=late_s, times_published=3),
    )
    yield "RUNNING, named by heartbeats", running
    lost_s = liveness.CLAIM_LEASE_S + reconcile.LEASE_GRACE_S + 0.1
    yield "RUNNING, and its box is silent", replace(running, seen_age_s=lost_s)


def example_envelope() -> str:
    """An envelope, its canonical JSON and its signature: a test vector."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    example = Envelope(
        task="dev.git_log",
        id="01970000-0000-7000-8000-000000000000",
        queue="dev.dc1",
        args=["/srv/git/größe.git"],
        kwargs={"limit": 5},
        home="control",
        token=make_token(7, 0),
        attempt=1,
        key="",
        issued_at_ms=1_790_000_000_000,
        expires_at_ms=1_790_000_000_000 + envelope.DELIVERY_TTL_MS,
    )
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    head = envelope.canonical_json(envelope.header(example, sign(key, example))).decode()
    signed = envelope.signed_bytes(example).decode()
    return (
        f"What is signed:\n```json\n{signed}\n```\n"
        f"The `turtle` header of the message:\n```json\n{head}\n```\n"
        f"The private key of this example is the 32 bytes 0 to 31; the public one is `{public}`."
    )
