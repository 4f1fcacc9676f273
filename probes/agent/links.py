"""Link latency to the other sites, measured by connecting to their front doors."""

from datetime import UTC, datetime
from typing import Any

from fleet.policy.errors import FleetError
from probes.network import link_latency
from tasks.settings import Address

SAMPLES = 3
TIMEOUT_S = 2.0


def measure(peers: dict[str, Address]) -> dict[str, Any]:
    """For each peer the round trip in ms, the share of lost tries, and when it was measured."""
    return {peer: _one(address) for peer, address in peers.items()}


def _one(address: Address) -> dict[str, Any]:
    at = datetime.now(UTC).isoformat()
    host, _, port = address.rpartition(":")
    try:
        found: dict[str, Any] = link_latency(
            host, int(port), count=SAMPLES, timeout_s=TIMEOUT_S, interval_s=0.02
        )
    except FleetError as error:
        return {"median_ms": None, "loss": 1.0, "error": str(error)[:200], "at": at}
    loss = found["lost"] / found["sent"]
    return {"median_ms": found["median_ms"], "loss": loss, "at": at}
