"""A small lab in network namespaces for tests: three Redis, three Sentinels, no fleet."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.lab import processes
from deploy.lab.brokers import Brokers
from deploy.lab.driver import Driver
from deploy.lab.errors import LabError
from deploy.lab.faults import Faults
from deploy.lab.files import write_private
from deploy.lab.namespaces.commands import require
from deploy.lab.namespaces.layout import Names
from deploy.lab.namespaces.network import Network
from deploy.lab.paths import LabPaths
from deploy.lab.processes import ProcessRecord, into_netns
from deploy.lab.redis_server import find_redis_server
from deploy.lab.secret_files import SecretFiles
from deploy.lab.state import LabState, SiteState, read_state, write_state
from deploy.topology import topology

SITES = topology().names

#: Prints which of the addresses given take a connection within 0.7 s.
_CONNECT = """
import json, selectors, socket, sys, time
chosen, open_ = selectors.DefaultSelector(), []
for text in sys.argv[1:]:
    host, port = text.split(":")
    s = socket.socket(); s.setblocking(False); s.connect_ex((host, int(port)))
    chosen.register(s, selectors.EVENT_WRITE, text)
end = time.monotonic() + 0.7
while chosen.get_map() and (left := end - time.monotonic()) > 0:
    for key, _ in chosen.select(left):
        if key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            open_.append(key.data)
        chosen.unregister(key.fileobj)
print(json.dumps(open_))
"""
#: Sends datagrams to an address for 0.7 s; the other one prints whether any has come.
_SAY = """
import socket, sys, threading
s = socket.socket(type=socket.SOCK_DGRAM)
for _ in range(7):
    s.sendto(b"turtle", (sys.argv[1], 4711)); threading.Event().wait(0.1)
"""
_HEAR = """
import socket, sys
s = socket.socket(type=socket.SOCK_DGRAM)
s.bind((sys.argv[1], 4711)); s.settimeout(1.2)
print("ready", flush=True)
try:
    print(s.recv(99) == b"turtle")
except TimeoutError:
    print(False)
"""


def needs_namespaces() -> None:
    """Skip where namespaces cannot be made, but never in CI."""
    try:
        require()
    except LabError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@dataclass
class SmallLab:
    """The running lab, and questions about who reaches whom."""

    paths: LabPaths
    network: Network
    brokers: Brokers
    faults: Faults

    def record(self, site: str, name: str) -> ProcessRecord:
        state = read_state(self.paths)
        assert state is not None
        return state.sites[site].processes[name]

    def overlay(self, site: str) -> str:
        return self.brokers.addresses.sites[site].redis.host

    def public(self, site: str) -> str:
        found = self.brokers.addresses.sites[site].public_host
        assert found is not None
        return found

    def python(self, site: str, code: str, *arguments: str) -> "subprocess.Popen[str]":
        """Python code in the namespace of a site."""
        netns = self.brokers.addresses.sites[site].netns
        return subprocess.Popen(
            (*into_netns(netns), sys.executable, "-Sc", code, *arguments),
            stdout=subprocess.PIPE,
            text=True,
        )

    def links(self) -> set[tuple[str, str]]:
        """From which site the Redis of which other one takes connections."""
        asked = {
            site: self.python(site, _CONNECT, *(f"{self.overlay(o)}:6379" for o in SITES))
            for site in SITES
        }
        found = {site: json.loads(process.communicate()[0]) for site, process in asked.items()}
        return {
            (site, other)
            for site in SITES
            for other in SITES
            if site != other and f"{self.overlay(other)}:6379" in found[site]
        }

    def connects(self, site: str, *addresses: str) -> list[str]:
        """Which of the addresses take a connection from a site."""
        found: list[str] = json.loads(self.python(site, _CONNECT, *addresses).communicate()[0])
        return found

    def hears(self, receiver: str, sender: str, *, host: str | None = None) -> bool:
        """Whether datagrams from one site arrive at another."""
        host = host or self.overlay(receiver)
        listener = self.python(receiver, _HEAR, host)
        assert listener.stdout is not None
        assert listener.stdout.readline() == "ready\n"
        self.python(sender, _SAY, host).communicate()
        return listener.communicate()[0] == "True\n"


@contextmanager
def small_lab(folder: Path) -> Iterator[SmallLab]:
    """The small lab below a folder; nothing of it is left afterwards."""
    paths = LabPaths(folder)
    network = Network(topology=topology(), names=Names(folder))
    faults = Faults(paths)
    try:
        brokers = _start(paths, network)
        yield SmallLab(paths, network, brokers, faults)
    finally:
        state = read_state(paths)
        processes.stop(list(state.records().values()) if state else [])
        faults.end()
        network.remove()


def _start(paths: LabPaths, network: Network) -> Brokers:
    addresses = network.make()
    write_private(paths.addresses, addresses.model_dump_json())
    state = LabState(
        driver=Driver.NAMESPACES,
        control_url=f"http://{addresses.control}",
        api_url=f"http://{addresses.control}/api/v1",
        api_token="tf_operator",
        read_token="tf_reader",
        admin_user="admin",
        admin_password="secret",
        flower_url="http://flower.invalid",
        sites={
            name: SiteState(
                redis=str(a.redis), sentinel=str(a.sentinel), agent=str(a.agent), netns=a.netns
            )
            for name, a in addresses.sites.items()
        },
    )
    write_state(paths, state)

    def remember(site: str, role: str, record: ProcessRecord) -> None:
        state.sites[site].processes[role] = record
        write_state(paths, state)

    brokers = Brokers(
        root=paths.root,
        topology=topology(),
        addresses=addresses,
        secrets=SecretFiles(paths.secrets),
        server=find_redis_server(),
        on_start=remember,
    )
    brokers.start()
    brokers.wait_ready()
    return brokers
