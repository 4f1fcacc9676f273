"""Access lists: who may do what on each Redis, and on each Sentinel.

There is no default user. Passwords stand here as SHA-256 digests only. Sources: redis.io
"Redis ACL" and, for the `sentinel` user, "High availability with Redis Sentinel".
"""

import hashlib
from collections.abc import Mapping, Sequence

from deploy.topology import Topology
from fleet.policy import routing

SENTINEL_CLIENT = "sentinel-client"
SENTINEL_PEER = "sentinel-peer"
CONTROL = "control"
MOVER = "mover"
SENTINEL_MOVER = "sentinel-mover"
REPLICATION = "replication"
SENTINEL = "sentinel"

#: Keys of kombu's transport: unacknowledged messages, bindings, and replies to inspection.
KOMBU_KEYS = ("unacked*", "_kombu*", "*.celery.pidbox", "celeryev.*")

#: Nobody can be this user: it is off and has no password. It keeps every right, because Redis
#: loads its append-only file in its name: with none, what was written in MULTI is dropped then.
_NOBODY = "user default off resetpass ~* &* +@all"

_COMMANDS = (
    "+@read +@write +@connection +@transaction +@pubsub +@scripting -@admin -@dangerous "
    "-script +script|load +script|exists +client|id +client|setname +client|getname "
    "+info +role +time"
)
_QUEUE_OF_OTHERS = "+lpush +rpush +llen +lrange +lindex +lrem"
_SENTINEL_COMMANDS = (
    "-@all +multi +exec +slaveof +replicaof +ping +subscribe +publish +info +role "
    "+config|rewrite +client|setname +client|kill +script|kill"
)
_ASK_SENTINEL = (
    "-@all +auth +hello +ping +info +role +client|id +client|setname +subscribe +psubscribe "
    "+unsubscribe +punsubscribe +sentinel|masters +sentinel|master +sentinel|replicas "
    "+sentinel|slaves +sentinel|sentinels +sentinel|get-master-addr-by-name +sentinel|ckquorum"
)
_MOVE_COMMANDS = "-@all +auth +hello +ping +info +client|pause +client|unpause"
_MOVE_SENTINEL = "-@all +auth +hello +ping +sentinel|failover"
_PEER_COMMANDS = (
    "-@all +auth +hello +ping +publish +client|setname +sentinel|is-master-down-by-addr"
)


def worker_user(site: str) -> str:
    """The Redis user of the worker and the agent of a site."""
    return f"worker-{site}"


def redis_users(topology: Topology) -> tuple[str, ...]:
    """Every user that each Redis knows."""
    return (CONTROL, *map(worker_user, _workers(topology)), MOVER, REPLICATION, SENTINEL)


def sentinel_users() -> tuple[str, ...]:
    """Every user that each Sentinel knows."""
    return (SENTINEL_CLIENT, SENTINEL_MOVER, SENTINEL_PEER)


def redis_acl(topology: Topology, passwords: Mapping[str, str], *, selectors: bool = True) -> str:
    """The text of `users.acl` of every Redis: any of them may lead.

    `selectors`: False for servers before Redis 7, which cannot limit single commands to keys;
    workers may then take from every queue.
    """
    everything = routing.all_queues(topology.names)
    rules = {
        CONTROL: f"{_keys(everything)} {_keys(KOMBU_KEYS)} &* {_COMMANDS}",
        **{
            worker_user(site): _worker_rule(site, able, everything, selectors=selectors)
            for site, able in _workers(topology).items()
        },
        MOVER: f"resetchannels {_MOVE_COMMANDS}",
        REPLICATION: "resetchannels -@all +psync +replconf +ping",
        SENTINEL: f"&* {_SENTINEL_COMMANDS}",
    }
    return _users(rules, passwords)


def sentinel_acl(passwords: Mapping[str, str]) -> str:
    """The text of the access list of every Sentinel: ask, vote, or move the master; nobody
    reconfigures."""
    rules = {
        SENTINEL_CLIENT: f"resetchannels &* {_ASK_SENTINEL}",
        SENTINEL_MOVER: f"resetchannels {_MOVE_SENTINEL}",
        SENTINEL_PEER: f"resetchannels &__sentinel__:hello {_PEER_COMMANDS}",
    }
    return _users(rules, passwords)


def _workers(topology: Topology) -> dict[str, tuple[str, ...]]:
    """The sites where workers run, the standby's included, and what they can do there."""
    lans = {site.name: site.capabilities for site in topology.worker_sites}
    control = topology.control_site
    standby = {control.name: routing.standby_capabilities()} if control.standby_box else {}
    return lans | standby


def _worker_rule(
    site: str, capabilities: Sequence[str], everything: Sequence[str], *, selectors: bool
) -> str:
    if not selectors:
        return f"{_keys(everything)} {_keys(KOMBU_KEYS)} &* {_COMMANDS}"
    served = routing.queues_of_worker(capabilities, site)
    return (
        f"{_keys(served)} {_keys(KOMBU_KEYS)} &* {_COMMANDS} "
        f"({_QUEUE_OF_OTHERS} {_keys(everything)})"
    )


def _users(rules: Mapping[str, str], passwords: Mapping[str, str]) -> str:
    lines = [f"user {name} on #{_digest(passwords[name])} {rule}" for name, rule in rules.items()]
    return "\n".join([_NOBODY, *lines, ""])


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def _keys(patterns: Sequence[str]) -> str:
    return " ".join(f"~{pattern}" for pattern in patterns)
