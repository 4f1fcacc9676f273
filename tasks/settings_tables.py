"""The tables of a box's configuration file, and the secrets that their `*_file` keys name."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from fleet.policy import routing
from fleet.policy.errors import ConfigurationError


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
    max_lag_s: float = Field(
        2.0,
        description="Redis' min-replicas-max-lag, seconds; checked against Sentinel's down-after",
        gt=0,
    )
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
    number: int = Field(
        description="Number of the home, part of its tokens", examples=[1], ge=0, le=255
    )


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


def read_secret(path: Path) -> str:
    """The content of a secret's file, stripped; refuses files that others can read."""
    try:
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise ConfigurationError(f"{path} is readable by others; run: chmod 600 {path}")
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(f"cannot read the secret {path}: {error.strerror}") from error
