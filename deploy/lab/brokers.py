"""Three Redis and three Sentinels on loopback addresses, for the lab and for tests.

with running_brokers(tmp_path) as brokers:
    brokers.kill("dc1")
    brokers.wait_for_master("dc2")
"""

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from deploy.lab import ports, processes
from deploy.lab.broker_files import REDIS, SENTINEL, BrokerFiles
from deploy.lab.errors import LabError, NotReadyError
from deploy.lab.files import read_stripped
from deploy.lab.paths import LabPaths
from deploy.lab.processes import ProcessRecord, ProcessSpec
from deploy.lab.redis_server import RedisServer, find_redis_server
from deploy.lab.secret_files import SecretFiles
from deploy.lab.waiting import wait_until
from deploy.lab.wrong_clock import wrong_clock
from deploy.render import acl
from deploy.render.addresses import FleetAddresses, HostPort
from deploy.topology import Topology, topology

PROBE_TIMEOUT_S = 0.5


@dataclass(slots=True, kw_only=True)
class Brokers:
    """The broker processes of all sites: started, asked, broken and ended by name of site.

    `on_start` hears of each process at once, so that none is forgotten when the caller is
    interrupted.
    """

    root: Path
    topology: Topology
    addresses: FleetAddresses
    secrets: SecretFiles
    server: RedisServer
    running: dict[tuple[str, str], ProcessRecord] = field(default_factory=dict)
    on_start: Callable[[str, str, ProcessRecord], None] = lambda site, role, record: None

    @property
    def files(self) -> BrokerFiles:
        """The configuration files of these brokers."""
        return BrokerFiles(
            root=self.root,
            topology=self.topology,
            addresses=self.addresses,
            secrets=self.secrets,
            server=self.server,
        )

    @property
    def master_name(self) -> str:
        """The name under which the Sentinels watch the master."""
        return self.topology.broker.master_name

    # Starting and ending

    def spec(self, site: str, role: str) -> ProcessSpec:
        """The command of one broker process."""
        mode = ("--sentinel",) if role == SENTINEL else ()
        return ProcessSpec(
            site=site,
            name=role,
            command=(str(self.server.path), str(self.files.conf(site, role)), *mode),
            log=self.root / site / "log" / f"{role}.log",
            cwd=self.files.folder(site),
            env=wrong_clock(LabPaths(self.root).clock(site)),
            netns=self.addresses.sites[site].netns,
            address=str(self._address(site, role)),
        )

    def start(self) -> None:
        """Write the configuration and start what does not run."""
        alive = {key for key, record in self.running.items() if processes.is_alive(record)}
        self.files.write(alive)
        for site in self.topology.names:
            self.start_one(site, REDIS)
        self._await_replicas()
        for site in self.topology.names:
            self.start_one(site, SENTINEL)

    def start_one(self, site: str, role: str = REDIS) -> None:
        """Start one process again, for example after `kill`."""
        record = self.running.get((site, role))
        if record is None or not processes.is_alive(record):
            record = processes.start(self.spec(site, role))
            self.running[site, role] = record
            self.on_start(site, role, record)

    def close(self) -> None:
        """End every process, also paused ones, and wait until they are gone."""
        sentinels = [r for (_, role), r in self.running.items() if role == SENTINEL]
        stores = [r for (_, role), r in self.running.items() if role == REDIS]
        # The judges go first, or they would start a failover while the fleet goes down.
        processes.stop(sentinels)
        processes.stop(stores)
        self.running.clear()

    # Faults

    def kill(self, site: str, role: str = REDIS) -> None:
        """End a process at once (KILL); its connections are reset."""
        processes.kill(self._record(site, role))

    def pause(self, site: str, role: str = REDIS) -> None:
        """Freeze a process (STOP): its connections stay open and silent."""
        processes.send(self._record(site, role), signal.SIGSTOP)

    def resume(self, site: str, role: str = REDIS) -> None:
        """Let a frozen process go on."""
        processes.send(self._record(site, role), signal.SIGCONT)

    # Asking

    def redis_address(self, site: str) -> HostPort:
        return self.addresses.sites[site].redis

    def sentinel_address(self, site: str) -> HostPort:
        return self.addresses.sites[site].sentinel

    def sentinel_addresses(self, site: str) -> tuple[str, ...]:
        """All Sentinels as `host:port`, the own site's first: the order for settings."""
        return tuple(str(address) for address in self.addresses.sentinels_from(site))

    def password_file(self, user: str) -> Path:
        """The file with the password of a Redis or Sentinel user."""
        return self.secrets.redis_password(user)

    def client(self, site: str, user: str = acl.CONTROL) -> "redis.Redis":
        """A client of one site's Redis, with short time limits and no retries."""
        return self._client(self.redis_address(site), user)

    def sentinel_client(self, site: str, user: str = acl.SENTINEL_CLIENT) -> "redis.Redis":
        """A client of one site's Sentinel."""
        return self._client(self.sentinel_address(site), user)

    def master_seen_by(self, site: str) -> str | None:
        """The site that leads, as this site's Sentinel says; None when it does not answer."""
        try:
            with self.sentinel_client(site) as client:
                found = client.sentinel_get_master_addr_by_name(self.master_name)
        except redis.RedisError:
            return None
        if not found:
            return None
        by_address = {str(a.redis): name for name, a in self.addresses.sites.items()}
        return by_address.get(f"{found[0]}:{found[1]}")

    def master(self) -> str:
        """The site whose Redis leads; raises LabError when no Sentinel can tell."""
        views = [self.master_seen_by(site) for site in self.topology.names]
        for site in self.topology.names:
            if views.count(site) >= self.topology.broker.quorum:
                return site
        raise LabError(f"the Sentinels do not agree on a master: {views}")

    def is_ready(self) -> bool:
        """Whether one master has all replicas online and each Sentinel sees all the others."""
        return not self.not_ready()

    def not_ready(self) -> str:
        """What is still missing, in one line; empty when the broker is ready."""
        for site in self.topology.names:
            if self.info(site, "server") is None:
                return f"Redis of {site} does not answer"
        leaders = {self.master_seen_by(site) for site in self.topology.names}
        if len(leaders) != 1 or None in leaders:
            return "the Sentinels do not agree on a master"
        return self._replicas_missing(str(leaders.pop())) or self._sentinels_missing()

    def wait_ready(self, deadline_s: float = 30.0) -> None:
        """Wait until everything is in place; raises LabError when a process ended instead."""
        wait_until(self._ready_or_ended, deadline_s=deadline_s, what="Redis and Sentinel")

    def wait_for_master(self, *sites: str, deadline_s: float = 30.0) -> str:
        """Wait until one of `sites` (default: any) leads and takes writes; returns it."""
        wanted = sites or self.topology.names
        return wait_until(
            lambda: self._writable_master(wanted),
            deadline_s=deadline_s,
            what=f"a master at {' or '.join(wanted)} that takes writes",
        )

    def info(self, site: str, section: str) -> Mapping[str, object] | None:
        """INFO of one site's Redis; None when it does not answer."""
        try:
            with self.client(site) as client:
                found: Mapping[str, object] = client.info(section)
        except redis.RedisError:
            return None
        return found

    def _await_replicas(self, deadline_s: float = 5.0) -> None:
        """Let replicas connect before the Sentinels look.

        A Sentinel asks a master for its replicas at once and then every 10 s only. Without
        replicas in time (a Redis is broken) it goes on: the Sentinels' business is to judge.
        """
        with contextlib.suppress(NotReadyError):
            wait_until(
                lambda: any(not self._replicas_missing(site) for site in self.topology.names),
                deadline_s=deadline_s,
                what="replicas",
            )

    def _client(self, address: HostPort, user: str) -> "redis.Redis":
        return redis.Redis(
            host=address.host,
            port=address.port,
            username=user,
            password=read_stripped(self.password_file(user)),
            decode_responses=True,
            socket_timeout=PROBE_TIMEOUT_S,
            socket_connect_timeout=PROBE_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )

    def _replicas_missing(self, leader: str) -> str:
        found = self.info(leader, "replication") or {}
        if found.get("role") != "master":
            return f"Redis of {leader} is not yet master"
        wanted = len(self.topology.sites) - 1
        online = sum(
            isinstance(value, dict) and value.get("state") == "online" for value in found.values()
        )
        return "" if online == wanted else f"{online} of {wanted} replicas are online"

    def _sentinels_missing(self) -> str:
        wanted = len(self.topology.sites) - 1
        for site in self.topology.names:
            with self.sentinel_client(site) as client:
                state = client.sentinel_master(self.master_name)
            seen = (state["num-other-sentinels"], state["num-slaves"])
            if seen != (wanted, wanted):
                return f"the Sentinel of {site} sees {seen[0]} others and {seen[1]} replicas"
        return ""

    def _ready_or_ended(self) -> bool:
        for (site, role), record in self.running.items():
            if not processes.is_alive(record):
                raise processes.ended_early(record, f"{role} of {site}")
        try:
            return self.is_ready()
        except redis.RedisError:
            return False

    def _writable_master(self, wanted: tuple[str, ...]) -> str | None:
        views = {self.master_seen_by(site) for site in self.topology.names} - {None}
        for site in wanted:
            if views == {site}:
                found = self.info(site, "replication") or {}
                good = found.get("role") == "master" and found.get("min_slaves_good_slaves")
                return site if good else None
        return None

    def _address(self, site: str, role: str) -> HostPort:
        return self.sentinel_address(site) if role == SENTINEL else self.redis_address(site)

    def _record(self, site: str, role: str) -> ProcessRecord:
        record = self.running.get((site, role))
        if record is None:
            raise LabError(f"{role} of {site} was not started")
        return record


@contextmanager
def running_brokers(
    folder: Path, *, shape: Topology | None = None, deadline_s: float = 30.0
) -> Iterator[Brokers]:
    """Brokers of all sites on free ports, state below `folder`, ended when the block is left."""
    shape = shape or topology()
    brokers = Brokers(
        root=folder,
        topology=shape,
        addresses=ports.choose(shape, usual=False),
        secrets=SecretFiles(folder / "secrets"),
        server=find_redis_server(),
    )
    try:
        brokers.start()
        brokers.wait_ready(deadline_s)
        yield brokers
    finally:
        brokers.close()
