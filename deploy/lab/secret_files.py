"""The lab's secrets: made once, kept in files of mode 600 below folders of mode 700."""

import base64
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.lab.errors import LabError
from deploy.lab.files import read_stripped, write_private

TOKEN_PREFIX = "tf_"  # noqa: S105 - the visible start of every API token, no secret


@dataclass(frozen=True, slots=True)
class SecretFiles:
    """Secrets below one folder, each in a file that is named for its use."""

    root: Path

    def redis_password(self, user: str) -> Path:
        """The file with the password of a Redis or Sentinel user."""
        return self._ensure(f"redis/{user}.password", _password)

    def redis_passwords(self, users: Iterable[str]) -> dict[str, str]:
        """The passwords themselves, by user."""
        return {user: read_stripped(self.redis_password(user)) for user in users}

    def password(self, name: str) -> Path:
        """The file with a person's or a device account's password."""
        return self._ensure(f"{name}.password", _password)

    def api_token(self, name: str) -> Path:
        """The file with an API token of the control plane."""
        return self._ensure(f"tokens/{name}.token", _token)

    def machines_token(self) -> Path:
        """The file with the token of the lab's Machines API."""
        return self._ensure("machines.token", _password)

    def django_key(self) -> Path:
        """The file with Django's secret key."""
        return self._ensure("django.key", _django_key)

    def basic_auth(self, name: str, user: str) -> Path:
        """The file with `user:password` of a service behind HTTP basic authentication."""
        return self._ensure(f"{name}.auth", lambda: f"{user}:{_password()}")

    def home_key(self, home: str) -> Path:
        """The PEM file with the Ed25519 key that signs a home's envelopes."""
        return self._ensure(f"homes/{home}.pem", _private_key)

    def home_public_key(self, home: str) -> str:
        """Base64 of the 32 bytes of a home's public key."""
        pem = read_stripped(self.home_key(home)).encode()
        key = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise LabError(f"{self.home_key(home)} holds no Ed25519 key; run: turtle lab clean")
        raw = key.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )
        return base64.b64encode(raw).decode()

    def _ensure(self, name: str, make: Callable[[], str]) -> Path:
        path = self.root / name
        return path if path.is_file() else write_private(path, make() + "\n")


def _password() -> str:
    return secrets.token_urlsafe(24)


def _token() -> str:
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def _django_key() -> str:
    return secrets.token_urlsafe(48)


def _private_key() -> str:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem.decode().strip()
