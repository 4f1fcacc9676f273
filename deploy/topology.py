"""The shape of the fleet: its sites, their boxes, and how their brokers arbitrate.

Read from `topology.toml` beside this file; everything that is rendered or started comes from it.
"""

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from fleet.policy import broker_rules, routing
from fleet.policy.errors import ConfigurationError

TOPOLOGY_FILE = Path(__file__).with_name("topology.toml")

#: Home number of the control plane; a site's home carries the site's number.
CONTROL_HOME = "control"
CONTROL_HOME_NUMBER = 0


def _name(text: str) -> str:
    if not routing.is_name(text):
        raise ValueError("use lower-case letters, digits and '-', starting with a letter")
    return text


def _capability(text: str) -> str:
    return routing.known("capability", text, routing.CAPABILITIES)


Name = Annotated[str, AfterValidator(_name)]
Capability = Annotated[str, AfterValidator(_capability)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BrokerTiming(_Table):
    """How Redis and Sentinel judge each other; checked by `fleet.policy.broker_rules`."""

    master_name: str
    quorum: Annotated[int, Field(ge=1)]
    down_after_ms: Annotated[int, Field(gt=0)]
    max_lag_s: Annotated[int, Field(gt=0)]
    failover_timeout_ms: Annotated[int, Field(gt=0)]


class Site(_Table):
    """One location: a Redis, a Sentinel and an agent, and a worker where it has capabilities.

    `replica_priority`: the lower is promoted first, 0 is never promoted. `standby_box`: a box
    that works only while a LAN is away; the control plane's site may have one.
    """

    name: Name
    number: Annotated[int, Field(ge=1, le=255)]
    title: str
    note: str = ""
    box: Name
    capabilities: tuple[Capability, ...] = ()
    replica_priority: Annotated[int, Field(ge=0)]
    control_plane: bool = False
    standby_box: Name | None = None


class Topology(_Table):
    """All sites and the timing of their broker."""

    broker: BrokerTiming
    sites: tuple[Site, ...]

    @model_validator(mode="after")
    def _names_and_numbers_differ(self) -> Self:
        for what, values in (("name", self.names), ("number", [s.number for s in self.sites])):
            if len(set(values)) != len(values):
                raise ValueError(f"two sites have the same {what}")
        if sum(site.control_plane for site in self.sites) != 1:
            raise ValueError("exactly one site carries control_plane = true")
        for site in self.sites:
            if site.standby_box and (not site.control_plane or site.standby_box == site.box):
                raise ValueError("standby_box is another box, at the control plane's site")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The sites' names in the file's order."""
        return tuple(site.name for site in self.sites)

    @property
    def control_site(self) -> Site:
        """The site that runs the control plane."""
        return next(site for site in self.sites if site.control_plane)

    @property
    def worker_sites(self) -> tuple[Site, ...]:
        """The sites whose boxes run workers in normal operation; they are homes too."""
        return tuple(site for site in self.sites if site.capabilities)

    @property
    def first_master(self) -> Site:
        """The site whose Redis leads when a fleet starts for the first time."""
        return min((s for s in self.sites if s.replica_priority), key=lambda s: s.replica_priority)

    @property
    def home_numbers(self) -> dict[str, int]:
        """Every home that issues attempts, and its number."""
        return {CONTROL_HOME: CONTROL_HOME_NUMBER} | {s.name: s.number for s in self.worker_sites}

    def owned_capabilities(self, name: str) -> tuple[str, ...]:
        """What only the site `name` can do: it has the one device of its kind."""
        shared = {c for site in self.sites if site.name != name for c in site.capabilities}
        own = self.site(name).capabilities
        return tuple(c for c in own if c in routing.LAN_HARDWARE and c not in shared)

    def site(self, name: str) -> Site:
        """The site called `name`; raises ConfigurationError naming the known ones."""
        for site in self.sites:
            if site.name == name:
                return site
        raise ConfigurationError(f"unknown site {name!r}; known: {', '.join(self.names)}")

    def check_broker(self) -> None:
        """Raise ConfigurationError when the broker's timing could leave two masters."""
        broker_rules.check(
            broker_rules.BrokerPlan(
                max_lag_s=self.broker.max_lag_s,
                down_after_s=self.broker.down_after_ms / 1000,
                quorum=self.broker.quorum,
                sentinel_sites=self.names,
                replica_priorities=tuple(site.replica_priority for site in self.sites),
            )
        )


def read_topology(path: Path = TOPOLOGY_FILE) -> Topology:
    """Read and check a topology file; raises ConfigurationError with one line a mistake."""
    try:
        found = Topology.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        raise ConfigurationError(f"{path}:\n{_mistakes(error)}") from error
    found.check_broker()
    return found


def _mistakes(error: ValidationError) -> str:
    return "\n".join(
        f"  {'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}" for item in error.errors()
    )


@lru_cache(maxsize=1)
def topology() -> Topology:
    """The fleet's own topology, read once."""
    return read_topology()
