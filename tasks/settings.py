"""Configuration of a box: one small TOML file, any value overridable from the environment.

The file is `$TURTLE_CONFIG`, else `./turtle.toml`, else `/etc/turtle/turtle.toml`. A variable
such as `TURTLE_BROKER__USERNAME` overrides the key `username` of the table `[broker]`.
Secrets are never values here: `*_file` keys name files of mode 600.
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from fleet.policy import routing
from fleet.policy.errors import ConfigurationError

CONFIG_PLACES = ("turtle.toml", "/etc/turtle/turtle.toml")


def _name(text: str) -> str:
    if not routing.is_name(text):
        raise ValueError("use lower-case letters, digits and '-', starting with a letter")
    return text


def _capability(text: str) -> str:
    return routing.known("capability", text, routing.CAPABILITIES)


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError("use host:port")
    return text


Name = Annotated[str, AfterValidator(_name)]
Capability = Annotated[str, AfterValidator(_capability)]
Address = Annotated[str, AfterValidator(_address)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BrokerSettings(_Table):
    """How to reach Redis through the Sentinels."""

    sentinels: tuple[Address, ...] = Field(
        description="Sentinel addresses, the own site's first",
        examples=[["10.1.0.2:26379", "10.2.0.2:26379", "10.3.0.2:26379"]],
        min_length=1,
    )
    master_name: str = Field("turtle", description="Name of the master that Sentinel watches")
    username: str = Field(description="Redis ACL user", examples=["worker-dc1"])
    password_file: Path = Field(
        description="File with the ACL user's password", examples=["/etc/turtle/redis.password"]
    )
    sentinel_username: str = Field("sentinel-client", description="Sentinel ACL user")
    sentinel_password_file: Path = Field(
        description="File with the Sentinel user's password",
        examples=["/etc/turtle/sentinel.password"],
    )

    def password(self) -> str:
        return read_secret(self.password_file)

    def sentinel_password(self) -> str:
        return read_secret(self.sentinel_password_file)


class ControlSettings(_Table):
    """How the agent reaches the control plane."""

    url: str = Field(
        description="Base URL of the control plane", examples=["https://fleet.example.org"]
    )
    token_file: Path = Field(
        description="File with the site's API token", examples=["/etc/turtle/agent.token"]
    )

    def token(self) -> str:
        return read_secret(self.token_file)


class HomeSettings(_Table):
    """A home whose envelopes this box accepts."""

    public_key: str = Field(
        description="Ed25519 public key of the home, base64 of its 32 bytes",
        examples=["gYpxjM3tB5wUzT3q0cFOu0pYB2b1KaZJmFQhPZ0u2ew="],
    )
    number: int = Field(description="Number of the home, part of its tokens", ge=0, le=255)


class SigningSettings(_Table):
    """The key that signs envelopes of runs accepted here."""

    private_key_file: Path = Field(
        description="File with the Ed25519 private key (PEM)",
        examples=["/etc/turtle/home.key"],
    )


class DevSettings(_Table):
    """What the `dev` tasks may touch."""

    roots: tuple[Path, ...] = Field(
        (), description="Folders below which repositories may lie", examples=[["/srv/git"]]
    )
    url_schemes: tuple[str, ...] = Field(
        ("https", "ssh"), description="URL schemes that git may fetch from"
    )
    url_hosts: tuple[str, ...] = Field(
        (), description="Hosts that git may fetch from; empty: none", examples=[["github.com"]]
    )
    commands: dict[str, Path] = Field(
        default_factory=dict,
        description="Executables that run_command may start: short name = absolute path",
        examples=[{"make": "/usr/bin/make"}],
    )
    command_path: str = Field("/usr/bin:/bin", description="PATH of started commands")
    max_time_s: float = Field(600.0, description="Longest run of one command, seconds", gt=0)
    max_memory_bytes: int = Field(
        1 << 30, description="Address space of one command, bytes", ge=1 << 24
    )
    max_output_bytes: int = Field(
        64 * 1024, description="Tail of output that is kept, bytes", ge=256
    )


class DeviceSettings(_Table):
    """A device's HTTP API and the account on it."""

    url: str = Field(description="Base URL of the device", examples=["https://192.0.2.1"])
    username: str = Field(description="Read-only local account", examples=["turtle"])
    password_file: Path = Field(
        description="File with the account's password", examples=["/etc/turtle/device.password"]
    )
    certificate_sha256: str | None = Field(
        None, description="SHA-256 of the device's certificate in hex, to pin a self-signed one"
    )
    timeout_s: float = Field(5.0, description="Time limit of one request, seconds", gt=0)

    def password(self) -> str:
        return read_secret(self.password_file)


class LimitSettings(_Table):
    """Sizes above which data is refused or stays at the site."""

    max_args_bytes: int = Field(
        65_536, description="Largest arguments of a run, bytes of JSON", ge=256
    )
    max_result_bytes: int = Field(
        65_536, description="Largest result that leaves the site, bytes of JSON", ge=256
    )


class FleetSettings(BaseSettings):
    """Everything that a process of the fleet needs to know about its place."""

    model_config = SettingsConfigDict(
        env_prefix="TURTLE_", env_nested_delimiter="__", extra="ignore", frozen=True
    )

    site: Name = Field(description="Site of this box", examples=["dc1"])
    box: Name = Field(description="Name of this box within the site", examples=["mini-1"])
    sites: tuple[Name, ...] = Field(
        ("dc1", "dc2", "dc3"), description="Names of all sites", examples=[["dc1", "dc2", "dc3"]]
    )
    capabilities: tuple[Capability, ...] = Field(
        (), description="What a worker on this box can do", examples=[["udm", "dev"]]
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
    peers: dict[str, Address] = Field(
        default_factory=dict,
        description="Agents or front doors of the other sites, for link latency",
        examples=[{"dc2": "10.2.0.2:8787"}],
    )

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


def read_secret(path: Path) -> str:
    """The content of a secret's file, stripped; refuses files that others can read."""
    try:
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise ConfigurationError(f"{path} is readable by others; run: chmod 600 {path}")
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(f"cannot read the secret {path}: {error.strerror}") from error


def load_settings(**overrides: Any) -> FleetSettings:
    """Read and check the configuration.

    Raises ConfigurationError with one line a mistake: file, key, what is wrong, an example.
    """
    try:
        return FleetSettings(**overrides)
    except ValidationError as error:
        where = config_path() or f"no file ({', '.join(CONFIG_PLACES)}) and the environment"
        lines = [_mistake(item) for item in error.errors()]
        raise ConfigurationError("\n".join([f"configuration of {where}:", *lines])) from error


def _mistake(item: Any) -> str:
    key = ".".join(str(part) for part in item["loc"])
    variable = "TURTLE_" + "__".join(str(part) for part in item["loc"]).upper()
    example = _example_of(item["loc"])
    hint = f"; for example: {example}" if example else ""
    return f"  {key} (or {variable}): {item['msg']}{hint}"


def _example_of(loc: tuple[Any, ...]) -> str:
    model: Any = FleetSettings
    field = None
    for part in loc:
        fields = getattr(model, "model_fields", {})
        if part not in fields:
            break
        field = fields[part]
        model = _model_in(field.annotation)
    if field is None or not field.examples:
        return ""
    return f"{loc[-1]} = {field.examples[0]!r}"


def _model_in(annotation: Any) -> Any:
    candidates = (annotation, *getattr(annotation, "__args__", ()))
    return next((c for c in candidates if hasattr(c, "model_fields")), None)


@lru_cache(maxsize=1)
def settings() -> FleetSettings:
    """The configuration of this process, read once."""
    return load_settings()
