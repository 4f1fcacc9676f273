"""The configuration of a site's Redis and of its Sentinel."""

from collections.abc import Mapping
from pathlib import Path

from deploy.render import acl
from deploy.render.addresses import FleetAddresses
from deploy.topology import Topology

#: The same at every site.
_EVERYWHERE = (
    # Without it Redis refuses other hosts whenever its default user has no password, also when
    # that user is off.
    "protected-mode no",
    "daemonize no",
    "tcp-keepalive 30",
    "appendonly yes",
    "appendfsync everysec",
    'save ""',
    "maxmemory-policy noeviction",
    "min-replicas-to-write 1",
    "repl-timeout 10",
    "repl-backlog-size 16mb",
    "repl-diskless-sync-delay 0",
)


def redis_conf(
    topology: Topology,
    addresses: FleetAddresses,
    *,
    site: str,
    master: str,
    passwords: Mapping[str, str],
    data_dir: Path,
    acl_file: Path,
) -> str:
    """The text of `redis.conf`; it holds the replication password: mode 600.

    `master` is the site that leads when this configuration is first used; afterwards Redis and
    Sentinel rewrite the file themselves. Raises ConfigurationError for unsafe timing.
    """
    topology.check_broker()
    own = addresses.sites[site].redis
    leader = addresses.sites[master].redis
    lines = [
        f"bind {own.host}",
        f"port {own.port}",
        *_EVERYWHERE,
        f'dir "{data_dir}"',
        f'aclfile "{acl_file}"',
        f"masteruser {acl.REPLICATION}",
        f"masterauth {passwords[acl.REPLICATION]}",
        f"replica-announce-ip {own.host}",
        f"replica-announce-port {own.port}",
        f"replica-priority {topology.site(site).replica_priority}",
        f"min-replicas-max-lag {topology.broker.max_lag_s}",
    ]
    if site != master:
        lines.append(f"replicaof {leader.host} {leader.port}")
    return "\n".join([*lines, ""])


def sentinel_conf(
    topology: Topology,
    addresses: FleetAddresses,
    *,
    site: str,
    master: str,
    passwords: Mapping[str, str],
    data_dir: Path,
    acl_file: Path,
) -> str:
    """The text of `sentinel.conf`; it holds passwords: mode 600, and Sentinel writes to it.

    Raises ConfigurationError for unsafe timing or a wrong number of Sentinels.
    """
    topology.check_broker()
    broker = topology.broker
    own = addresses.sites[site].sentinel
    leader = addresses.sites[master].redis
    name = broker.master_name
    lines = [
        f"bind {own.host}",
        f"port {own.port}",
        "protected-mode no",
        "daemonize no",
        f'dir "{data_dir}"',
        f'aclfile "{acl_file}"',
        f"sentinel announce-ip {own.host}",
        f"sentinel announce-port {own.port}",
        f"sentinel sentinel-user {acl.SENTINEL_PEER}",
        f"sentinel sentinel-pass {passwords[acl.SENTINEL_PEER]}",
        f"sentinel monitor {name} {leader.host} {leader.port} {broker.quorum}",
        f"sentinel auth-user {name} {acl.SENTINEL}",
        f"sentinel auth-pass {name} {passwords[acl.SENTINEL]}",
        f"sentinel down-after-milliseconds {name} {broker.down_after_ms}",
        f"sentinel failover-timeout {name} {broker.failover_timeout_ms}",
        f"sentinel parallel-syncs {name} 1",
        "sentinel deny-scripts-reconfig yes",
    ]
    return "\n".join([*lines, ""])
