"""The configuration that the test suite runs with, made before Django reads it."""

import atexit
import base64
import os
import shutil
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

HOMES = {"control": 0, "dc1": 1, "dc2": 2}


def write_secret(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def write_home_key(path: Path) -> str:
    """Write a private key and return the public one in base64."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_secret(path, pem.decode())
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.b64encode(raw).decode()


def write_config(folder: Path, database_url: str) -> Path:
    """A control plane's turtle.toml with fresh keys, in `folder`."""
    public = {name: write_home_key(folder / f"{name}.key") for name in HOMES}
    write_secret(folder / "django.key", "test-only-" + "x" * 50)
    write_secret(folder / "password", "not-used")
    write_secret(folder / "flower", "flower:not-used")
    homes = "".join(
        f'[homes.{name}]\npublic_key = "{public[name]}"\nnumber = {number}\n'
        for name, number in HOMES.items()
    )
    config = folder / "turtle.toml"
    config.write_text(
        f"""site = "dc3"
box = "control"
sites = ["dc1", "dc2", "dc3"]
state_dir = "{folder}"
[broker]
sentinels = ["127.0.0.1:1"]
username = "control"
password_file = "{folder}/password"
sentinel_password_file = "{folder}/password"
[signing]
private_key_file = "{folder}/control.key"
{homes}
[control_plane]
secret_key_file = "{folder}/django.key"
database_url = "{database_url}"
allowed_hosts = ["localhost", "127.0.0.1", "testserver"]
insecure_http = true
flower_auth_file = "{folder}/flower"
""",
        encoding="utf-8",
    )
    return config


_FOLDER = Path(tempfile.mkdtemp(prefix="turtle-tests-"))
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
os.environ["TURTLE_CONFIG"] = str(
    write_config(
        _FOLDER, os.environ.get("TURTLE_TEST_DATABASE_URL", f"sqlite:///{_FOLDER}/ledger.sqlite3")
    )
)
