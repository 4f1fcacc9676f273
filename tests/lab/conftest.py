"""Fixtures of the lab's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.lab import ports
from deploy.lab.brokers import Brokers, running_brokers
from deploy.lab.paths import LabPaths
from deploy.lab.secret_files import SecretFiles
from deploy.lab.site_files import SiteFiles
from deploy.topology import topology
from tests.lab.namespaced import SmallLab, needs_namespaces, small_lab


@pytest.fixture(scope="package")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    """Real brokers for tests that break nothing."""
    with running_brokers(tmp_path_factory.mktemp("brokers")) as running:
        yield running


@pytest.fixture(scope="package")
def running_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallLab]:
    """Three sites with brokers in network namespaces."""
    needs_namespaces()
    with small_lab(tmp_path_factory.mktemp("namespaces")) as running:
        yield running


@pytest.fixture
def lab(running_lab: SmallLab) -> Iterator[SmallLab]:
    """The three sites, healed after the test."""
    yield running_lab
    running_lab.faults.heal()


@pytest.fixture
def site_files(tmp_path: Path) -> SiteFiles:
    """The lab's files in a folder of their own, not yet written."""
    return SiteFiles(
        paths=LabPaths(tmp_path),
        topology=topology(),
        addresses=ports.choose(topology(), usual=False),
        secrets=SecretFiles(tmp_path / "secrets"),
    )
