"""Write the configuration of Redis and Sentinel, keeping what they wrote themselves."""

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deploy.lab.files import private_folder, write_private
from deploy.lab.redis_server import RedisServer
from deploy.lab.secret_files import SecretFiles
from deploy.render import acl, redis
from deploy.render.addresses import FleetAddresses
from deploy.topology import Topology

REDIS = "redis"
SENTINEL = "sentinel"
ROLES = (REDIS, SENTINEL)
_ACL_FILES = {REDIS: "users.acl", SENTINEL: "sentinel.acl"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerFiles:
    """The broker's files of all sites below one folder.

    Redis and Sentinel store the outcome of failovers in their configuration. A file of theirs is
    therefore written anew only when what was rendered has changed, and then with the last
    master that they knew.
    """

    root: Path
    topology: Topology
    addresses: FleetAddresses
    secrets: SecretFiles
    server: RedisServer

    def write(self, running: Collection[tuple[str, str]] = ()) -> None:
        """Write every file, but not those of processes that run (site and role)."""
        master = self._last_master() or self.topology.first_master.name
        passwords = self.secrets.redis_passwords(
            (*acl.redis_users(self.topology), *acl.sentinel_users())
        )
        access = acl.redis_acl(self.topology, passwords, selectors=self.server.has_selectors)
        for site in self.topology.names:
            write_private(self.folder(site) / _ACL_FILES[REDIS], access)
            write_private(self.folder(site) / _ACL_FILES[SENTINEL], acl.sentinel_acl(passwords))
            for role in ROLES:
                if (site, role) not in running:
                    self._write_conf(site, role, master, passwords)

    def conf(self, site: str, role: str) -> Path:
        """The configuration file of a site's Redis or Sentinel."""
        return self.folder(site) / f"{role}.conf"

    def folder(self, site: str) -> Path:
        """The folder of a site's broker."""
        return self.root / site / "broker"

    def _write_conf(self, site: str, role: str, master: str, passwords: Mapping[str, str]) -> None:
        folder = self.folder(site)
        render = partial(
            redis.redis_conf if role == REDIS else redis.sentinel_conf,
            self.topology,
            self.addresses,
            site=site,
            passwords=passwords,
            data_dir=private_folder(folder / f"{role}-data"),
            acl_file=folder / _ACL_FILES[role],
        )
        first = self.topology.first_master.name
        _keep_or_write(self.conf(site, role), render(master=first), render(master=master))

    def _last_master(self) -> str | None:
        """The site that the newest of the stored Sentinel configurations names."""
        name = self.topology.broker.master_name
        views = [_stored_view(self.conf(site, SENTINEL), name) for site in self.topology.names]
        known = [view for view in views if view]
        if not known:
            return None
        _, leader = max(known)
        stored = {_stored_address(self.conf(s, REDIS)): s for s in self.topology.names}
        return stored.get(leader)


def _keep_or_write(path: Path, canonical: str, wanted: str) -> None:
    """Write `wanted` unless `canonical` is what the existing file was made from."""
    stamp = path.with_suffix(".stamp")
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    if path.is_file() and stamp.is_file() and stamp.read_text(encoding="utf-8") == digest:
        return
    write_private(path, wanted)
    write_private(stamp, digest)


def _stored_view(path: Path, master_name: str) -> tuple[int, str] | None:
    """Configuration epoch and master's address of a stored Sentinel configuration."""
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8")
    name = re.escape(master_name)
    monitor = re.search(rf"^sentinel monitor {name} (\S+) (\d+)", text, re.M)
    epoch = re.search(rf"^sentinel config-epoch {name} (\d+)", text, re.M)
    if monitor is None:
        return None
    return (int(epoch[1]) if epoch else 0, f"{monitor[1]}:{monitor[2]}")


def _stored_address(path: Path) -> str | None:
    """Where a stored Redis configuration listens: at the last start, maybe not at this one."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    host = re.search(r"^bind (\S+)", text, re.M)
    port = re.search(r"^port (\d+)", text, re.M)
    return f"{host[1]}:{port[1]}" if host and port else None
