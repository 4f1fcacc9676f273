"""One fleet for all tests of this folder; what a test breaks it has to mend."""

from collections.abc import Iterator

import httpx
import pytest
from rich.console import Console

from deploy.lab.lifecycle import Lab
from deploy.lab.paths import LabPaths
from deploy.lab.progress import Progress
from deploy.topology import topology
from tests.lab.whole.stage import Fleet


@pytest.fixture(scope="package")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Every process of the lab, ready."""
    lab = Lab(
        paths=LabPaths(tmp_path_factory.mktemp("fleet")),
        topology=topology(),
        progress=Progress(Console(quiet=True)),
    )
    try:
        state = lab.up()
        headers = {"Authorization": f"Bearer {state.api_token}"}
        with httpx.Client(base_url=state.api_url, headers=headers, timeout=20) as api:
            yield Fleet(lab, state, api)
    finally:
        lab.clean()
