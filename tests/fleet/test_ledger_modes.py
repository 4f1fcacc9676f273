"""A site's own mode reaches the control plane with its heartbeat."""

import pytest

from fleet.policy.modes import Mode
from tests.fleet.api_calls import make_site
from tests.fleet.ledger_rows import Box, heartbeat


@pytest.mark.django_db
def test_a_heartbeat_tells_the_sites_own_mode() -> None:
    site = make_site("dc1", 1)
    Box(site).send(heartbeat=heartbeat(mode=Mode.LAN_ONLY.value, broker={"answer": "ok"}))
    site.refresh_from_db()
    assert site.observations["mode"] == "lan-only"
