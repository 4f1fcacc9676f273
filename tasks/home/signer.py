"""From a dispatch to a signed envelope."""

import time
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fleet.policy.envelope import DELIVERY_TTL_MS, Envelope
from tasks.home.store import Dispatch
from tasks.signing import sign

#: Celery's events carry a short text of the arguments, for Flower.
REPR_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    envelope: Envelope
    signature: str
    args_repr: str
    kwargs_repr: str
    group_id: str


class Signer:
    """Signs for one home."""

    def __init__(self, home: str, key: Ed25519PrivateKey) -> None:
        self._home = home
        self._key = key

    def seal(self, dispatch: Dispatch) -> Signed:
        """Sign an attempt; it is good until the run expires, for half a day at most."""
        issued_at_ms = time.time_ns() // 1_000_000
        envelope = Envelope(
            task=dispatch.task,
            id=dispatch.run_id,
            queue=dispatch.queue,
            args=dispatch.args,
            kwargs=dispatch.kwargs,
            home=self._home,
            token=dispatch.token,
            attempt=dispatch.attempt,
            key=dispatch.key,
            issued_at_ms=issued_at_ms,
            expires_at_ms=min(issued_at_ms + DELIVERY_TTL_MS, _ms(dispatch.expires_at)),
        )
        return Signed(
            envelope=envelope,
            signature=sign(self._key, envelope),
            args_repr=repr(dispatch.args)[:REPR_CHARS],
            kwargs_repr=repr(dispatch.kwargs)[:REPR_CHARS],
            group_id=dispatch.group_id,
        )


def _ms(moment: datetime | None) -> int:
    return 1 << 62 if moment is None else int(moment.timestamp() * 1000)
