"""The `turtle.toml` of each site's box."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from deploy.render import acl, toml_text
from deploy.render.addresses import FleetAddresses
from deploy.render.toml_text import Value
from deploy.topology import CONTROL_HOME, Site, Topology
from fleet.policy import routing
from fleet.policy.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePlace:
    """A device's HTTP API and the account on it; `capability` names the table."""

    capability: str
    url: str
    username: str
    password_file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxPlaces:
    """Where a box keeps its state and secrets, and what its `dev` tasks may touch.

    `time_scale` shrinks the intervals of failure detection, in labs only.
    `signing_key_file`: None for a box that is no home and accepts no calls of its own.
    """

    state_dir: Path
    broker_password_file: Path
    sentinel_password_file: Path
    agent_token_file: Path
    signing_key_file: Path | None
    control_url: str
    device: DevicePlace | None = None
    dev_roots: tuple[Path, ...] = ()
    dev_commands: Mapping[str, Path] = field(default_factory=dict)
    time_scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinesPlace:
    """The Machines API, and the standby machine there."""

    url: str
    app: str
    token_file: Path
    machine_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MoverPlace:
    """The passwords of the users that may move the broker."""

    password_file: Path
    sentinel_password_file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlanePlaces:
    """What only the control plane's box needs."""

    secret_key_file: Path
    database_url: str
    allowed_hosts: tuple[str, ...]
    csrf_trusted_origins: tuple[str, ...]
    flower_url: str
    flower_auth_file: Path
    insecure_http: bool = False
    mover: MoverPlace | None = None
    machines: MachinesPlace | None = None


def broker_user(site: Site) -> str:
    """The Redis user of the processes of a site's box."""
    return acl.CONTROL if site.control_plane else acl.worker_user(site.name)


def home_of(site: Site) -> str:
    """The home whose key signs what is accepted on a site's box."""
    return CONTROL_HOME if site.control_plane else site.name


def turtle_toml(
    topology: Topology,
    addresses: FleetAddresses,
    *,
    site: str,
    places: BoxPlaces,
    public_keys: Mapping[str, str],
    control_plane: ControlPlanePlaces | None = None,
) -> str:
    """The text of a box's `turtle.toml`; it names files of secrets and holds none.

    `public_keys`: base64 of each home's Ed25519 public key.
    """
    box = topology.site(site)
    identity: dict[str, Value] = {
        "site": box.name,
        "box": box.box,
        "sites": topology.names,
        "capabilities": box.capabilities,
        "owned_capabilities": topology.owned_capabilities(box.name),
        "state_dir": places.state_dir,
        "agent_address": str(addresses.sites[box.name].agent),
        **_scale(places),
    }
    tables = identity | _tables(topology, addresses, box, places, public_keys, broker_user(box))
    if "dev" in box.capabilities:
        tables["dev"] = {"roots": places.dev_roots, "commands": places.dev_commands}
    if places.device:
        tables[places.device.capability] = _device(places.device)
    if control_plane:
        tables["control_plane"] = _control_plane(control_plane)
    return toml_text.dumps(tables)


def standby_toml(
    topology: Topology,
    addresses: FleetAddresses,
    *,
    places: BoxPlaces,
    public_keys: Mapping[str, str],
) -> str:
    """The text of the standby box's `turtle.toml`; raises ConfigurationError where there is none.

    It is a worker's box at the control plane's site, with a worker's rights at the broker.
    """
    site = topology.control_site
    agent = addresses.sites[site.name].standby
    if site.standby_box is None or agent is None:
        raise ConfigurationError(f"{site.name} has no standby_box, or its agent has no address")
    identity: dict[str, Value] = {
        "site": site.name,
        "box": site.standby_box,
        "sites": topology.names,
        "capabilities": routing.standby_capabilities(),
        "standby": True,
        "state_dir": places.state_dir,
        "agent_address": str(agent),
        **_scale(places),
    }
    user = acl.worker_user(site.name)
    tables = identity | _tables(topology, addresses, site, places, public_keys, user)
    tables["dev"] = {"roots": places.dev_roots, "commands": places.dev_commands}
    return toml_text.dumps(tables)


def _scale(places: BoxPlaces) -> dict[str, Value]:
    return {} if places.time_scale == 1 else {"time_scale": places.time_scale}


def _tables(
    topology: Topology,
    addresses: FleetAddresses,
    box: Site,
    places: BoxPlaces,
    public_keys: Mapping[str, str],
    user: str,
) -> dict[str, Value]:
    """What every box of a site reads; `user` is who it is at the broker."""
    key = places.signing_key_file
    return {
        "peers": {n: str(a.agent) for n, a in addresses.sites.items() if n != box.name},
        "broker": _broker(topology, addresses, box, places, user),
        "control": {"url": places.control_url, "token_file": places.agent_token_file},
        **({"signing": {"private_key_file": key}} if key else {}),
        "homes": {
            home: {"public_key": public_keys[home], "number": number}
            for home, number in topology.home_numbers.items()
        },
    }


def _broker(
    topology: Topology, addresses: FleetAddresses, box: Site, places: BoxPlaces, user: str
) -> dict[str, Value]:
    return {
        "sentinels": tuple(map(str, addresses.sentinels_from(box.name))),
        "master_name": topology.broker.master_name,
        "max_lag_s": float(topology.broker.max_lag_s),
        "username": user,
        "password_file": places.broker_password_file,
        "sentinel_username": acl.SENTINEL_CLIENT,
        "sentinel_password_file": places.sentinel_password_file,
    }


def _device(device: DevicePlace) -> dict[str, Value]:
    return {
        "url": device.url,
        "username": device.username,
        "password_file": device.password_file,
    }


def _control_plane(places: ControlPlanePlaces) -> dict[str, Value]:
    machines = places.machines
    return {
        "secret_key_file": places.secret_key_file,
        "database_url": places.database_url,
        "allowed_hosts": places.allowed_hosts,
        "csrf_trusted_origins": places.csrf_trusted_origins,
        "debug": False,
        "insecure_http": places.insecure_http,
        "flower_url": places.flower_url,
        "flower_auth_file": places.flower_auth_file,
        **({"mover": asdict(places.mover)} if places.mover else {}),
        **({"machines": asdict(machines)} if machines else {}),
    }
