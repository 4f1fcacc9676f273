"""The `[control_plane]` table of the configuration: what only the Django process needs."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from fleet.policy.errors import ConfigurationError
from tasks.settings import checked, config_path


class ControlPlaneSettings(BaseSettings):
    """Django's own settings; a variable `TURTLE_CONTROL_PLANE__DEBUG` overrides the key."""

    model_config = SettingsConfigDict(
        env_prefix="TURTLE_CONTROL_PLANE__",
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
