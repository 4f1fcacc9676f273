"""Configuration of a box: one small TOML file, any value overridable from the environment.

The file is `$TURTLE_CONFIG`, else `./turtle.toml`, else `/etc/turtle/turtle.toml`. A variable
such as `TURTLE_BROKER__USERNAME` overrides the key `username` of the table `[broker]`.
Secrets are never values here: `*_file` keys name files of mode 600.
"""

import os
import tomllib
from functools import lru_cache
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Any, TypeVar

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from fleet.policy import routing
from fleet.policy.errors import ConfigurationError
from tasks.settings_mistakes import invalid_values, no_table, unknown_keys
from tasks.settings_tables import (
    Address,
    BrokerSettings,
    Capability,
    ControlSettings,
    DeviceSettings,
    DevSettings,
    HomeSettings,
    LimitSettings,
    Name,
    SigningSettings,
    read_secret,
)

__all__ = [
    "Address",
    "BrokerSettings",
    "Capability",
    "ControlSettings",
    "DevSettings",
    "DeviceSettings",
    "FleetSettings",
    "HomeSettings",
    "LimitSettings",
    "Name",
    "SigningSettings",
    "checked",
    "config_path",
    "load_settings",
    "read_secret",
    "settings",
]

CONFIG_PLACES = ("turtle.toml", "/etc/turtle/turtle.toml")
#: Tables of the same file that other programs read.
OTHER_TABLES = ("control_plane",)
Settings = TypeVar("Settings", bound=BaseSettings)


class FleetSettings(BaseSettings):
    """Everything that a process of the fleet needs to know about its place."""

    model_config = SettingsConfigDict(
        env_prefix="TURTLE_", env_nested_delimiter="__", extra="ignore", frozen=True
    )

    sites: tuple[Name, ...] = Field(
        ("dc1", "dc2", "dc3"), description="Names of all sites", examples=[["dc1", "dc2", "dc3"]]
    )
    site: Name = Field(description="Site of this box", examples=["dc1"])
    box: Name = Field(description="Name of this box within the site", examples=["mini-1"])
    capabilities: tuple[Capability, ...] = Field(
        (), description="What a worker on this box can do", examples=[["udm", "dev"]]
    )
    owned_capabilities: tuple[Capability, ...] = Field(
        (),
        description="Those that no other site has: their tasks run here also while it is alone",
        examples=[["udm"]],
    )
    standby: bool = Field(
        False,
        description="This box is the standby: its worker takes work only under a lease",
        examples=[True],
    )
    state_dir: Path = Field(
        Path("/var/lib/turtle"), description="Folder of the journal and of kept results"
    )
    broker: BrokerSettings = Field(description="Redis and Sentinel")
    control: ControlSettings | None = Field(None, description="The control plane")
    homes: dict[str, HomeSettings] = Field(
        default_factory=dict, description="Homes whose envelopes are accepted"
    )
    signing: SigningSettings | None = Field(None, description="Key of this box's own home")
    dev: DevSettings = Field(default_factory=lambda: DevSettings(), description="dev tasks")
    udm: DeviceSettings | None = Field(None, description="UniFi OS console")
    openwrt: DeviceSettings | None = Field(None, description="OpenWrt router")
    limits: LimitSettings = Field(default_factory=lambda: LimitSettings(), description="Sizes")
    agent_address: Address = Field(
        "127.0.0.1:8787", description="Where this box's agent listens (health, link checks)"
    )
    time_scale: float = Field(
        1.0,
        description="Shrinks the intervals of failure detection together; for labs only",
        gt=0,
        le=1,
        examples=[0.2],
    )
    peers: dict[str, Address] = Field(
        default_factory=dict,
        description="Agents or front doors of the other sites, for link latency",
        examples=[{"dc2": "10.2.0.2:8787"}],
    )

    @field_validator("site")
    @classmethod
    def _is_one_of_the_sites(cls, site: str, info: ValidationInfo) -> str:
        """Sites that are wrong themselves are told as such."""
        sites = info.data.get("sites")
        return site if sites is None else routing.known("site", site, sites)

    @field_validator("owned_capabilities")
    @classmethod
    def _are_of_hardware(cls, owned: tuple[str, ...]) -> tuple[str, ...]:
        """A standby has every other capability as soon as it is needed."""
        for capability in owned:
            routing.known("capability of LAN hardware", capability, routing.LAN_HARDWARE)
        return owned

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        path = config_path()
        toml = (TomlConfigSettingsSource(settings_cls, path),) if path else ()
        return (init_settings, env_settings, *toml)


def config_path() -> Path | None:
    """The configuration file in use, or None where there is none."""
    named = os.environ.get("TURTLE_CONFIG")
    if named:
        if not Path(named).is_file():
            raise ConfigurationError(f"TURTLE_CONFIG names {named}, which is not a file")
        return Path(named)
    return next((Path(p) for p in CONFIG_PLACES if Path(p).is_file()), None)


def load_settings(**overrides: Any) -> FleetSettings:
    """Read and check the configuration.

    Raises ConfigurationError with one line a mistake: file, key, what is wrong, an example.
    """
    return checked(FleetSettings, **overrides)


def checked(model: type[Settings], *table: str, **overrides: Any) -> Settings:
    """Read the file and the environment into `model`; `table` is its place in the file.

    Raises ConfigurationError as `load_settings` does.
    """
    path = config_path()
    lines: list[str] = []
    try:
        top = tomllib.loads(path.read_text(encoding="utf-8")) if path else {}
        lines += unknown_keys(top, {*FleetSettings.model_fields, *OTHER_TABLES})
        wrong = no_table(top, table, model)
        lines += wrong
        if not wrong:
            found = model(**overrides)
    except ValidationError as error:
        lines += invalid_values(error, model, table)
    except SettingsError as error:
        lines.append(f"  {error}; lists and tables in the environment are JSON: '[\"udm\"]'")
    except (TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        lines.append(f"  it cannot be read as TOML: {error}")
    if lines:
        # Out of the except clauses, so not chained: pydantic's error repeats the values, and
        # one of them may be a secret.
        where = path or f"no file ({', '.join(CONFIG_PLACES)}) and the environment"
        raise ConfigurationError("\n".join([f"configuration of {where}:", *lines]))
    return found


@lru_cache(maxsize=1)
def settings() -> FleetSettings:
    """The configuration of this process, read once."""
    return load_settings()
