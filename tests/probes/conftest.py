"""Simulated devices on free loopback ports."""

from collections.abc import Iterator

import pytest

from deploy.lab.simulators.openwrt import OpenWrtRouter
from deploy.lab.simulators.server import DeviceServer
from deploy.lab.simulators.unifi import UnifiConsole
from tests.probes.support import Clock, options, serve


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def console(clock: Clock) -> Iterator[DeviceServer]:
    with serve(UnifiConsole(options(clock, session_s=30, slow_s=5, login_limit=3))) as server:
        yield server


@pytest.fixture
def router(clock: Clock) -> Iterator[DeviceServer]:
    with serve(OpenWrtRouter(options(clock, session_s=30, slow_s=5))) as server:
        yield server
