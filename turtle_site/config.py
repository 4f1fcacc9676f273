"""The `[control_plane]` table of the configuration: what only the Django process needs."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from fleet.policy.errors import ConfigurationError
from tasks.settings import checked, config_path, read_secret


class MachinesSettings(BaseModel):
    """The provider of the standby machine: fly's Machines API."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(
        "https://api.machines.dev", description="Base URL of the Machines API, without /v1"
    )
    app: str = Field(
        description="App of the standby machine, not the control plane's own",
        examples=["turtle-standby"],
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
    )
    token_file: Path = Field(
        description="File with a deploy token of that app, read at each call",
        examples=["/data/secrets/machines.token"],
    )
    machine_id: str = Field(
        description="Id of the standby machine: fly machines list",
        examples=["5714790ef5a1d8"],
        pattern=r"^[a-z0-9]{1,32}$",
    )

    @field_validator("url")
    @classmethod
    def _is_a_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ValueError("use http://host or https://host, without a user")
        return url

    def token(self) -> str:
        return read_secret(self.token_file)


class MoverSettings(BaseModel):
    """Users that may move the broker on purpose; no other process has their passwords."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    username: str = Field("mover", description="Redis ACL user")
    password_file: Path = Field(
        description="File with its password", examples=["/data/secrets/redis-mover.password"]
    )
    sentinel_username: str = Field("sentinel-mover", description="Sentinel ACL user")
    sentinel_password_file: Path = Field(
        description="File with its password",
        examples=["/data/secrets/redis-sentinel-mover.password"],
    )


class ControlPlaneSettings(BaseSettings):
    """Django's own settings; a variable `TURTLE_CONTROL_PLANE__DEBUG` overrides the key."""

    model_config = SettingsConfigDict(
        env_prefix="TURTLE_CONTROL_PLANE__",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
    )

    secret_key_file: Path = Field(
        description="File with Django's secret key", examples=["/data/secrets/django.key"]
    )
    database_url: str = Field(
        description="sqlite:////path or postgresql://user@host:port/name",
        examples=["sqlite:////data/ledger.sqlite3"],
    )
    database_password_file: Path | None = Field(
        None, description="File with the PostgreSQL password"
    )
    allowed_hosts: tuple[str, ...] = Field(
        ("localhost",), description="Host names that the site answers to"
    )
    csrf_trusted_origins: tuple[str, ...] = Field(
        (), description="Origins of forms, with scheme", examples=[["https://fleet.example.org"]]
    )
    debug: bool = Field(False, description="Django's debug pages; never on a reachable host")
    insecure_http: bool = Field(
        False, description="Serve over plain HTTP (a lab on loopback); cookies are not secure then"
    )
    flower_url: str = Field("http://127.0.0.1:5555", description="Where Flower listens, privately")
    flower_auth_file: Path | None = Field(
        None, description="File with user:password of Flower's basic authentication"
    )

    mover: MoverSettings | None = Field(
        None, description="Who moves the broker in a planned stop; without it nobody does"
    )
    machines: MachinesSettings | None = Field(
        None, description="Where the standby machine is started; without it there is no standby"
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
        toml = TomlConfigSettingsSource(settings_cls, path)
        table = toml.toml_data.get("control_plane", {})
        return (init_settings, env_settings, InitSettingsSource(settings_cls, table))


def load_control_plane() -> ControlPlaneSettings:
    """Read and check the table; raises ConfigurationError with one line a mistake."""
    return checked(ControlPlaneSettings, "control_plane")


def database(url: str, password: str = "") -> dict[str, Any]:
    """Django's DATABASES entry for a URL.

    SQLite: WAL, BEGIN IMMEDIATE, waits up to 10 s for the lock; synchronous FULL, because an
    accepted task must survive a power cut.
    """
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": parts.path[1:],
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 10,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
            },
        }
    if parts.scheme in ("postgres", "postgresql"):
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": parts.path.lstrip("/"),
            "USER": parts.username or "",
            "PASSWORD": password or parts.password or "",
            "HOST": parts.hostname or "",
            "PORT": str(parts.port or ""),
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
        }
    raise ConfigurationError(
        f"control_plane.database_url: scheme {parts.scheme!r}; "
        "for example: 'sqlite:////data/ledger.sqlite3'"
    )
