"""What the tests of probes share."""

import datetime
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy.lab.simulators.device import Device, Options
from deploy.lab.simulators.server import DeviceServer, serving

DATA = Path(__file__).with_name("data")
PASSWORD = "correct horse"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def fixture(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def options(clock: Clock, **changes: Any) -> Options:
    return Options(username="turtle", password=PASSWORD, clock=clock, **changes)


@contextmanager
def serve(device: Device, tls: ssl.SSLContext | None = None) -> Iterator[DeviceServer]:
    with serving(DeviceServer("127.0.0.1", 0, device, tls)) as server:
        yield server


def switch_fault(server: DeviceServer, mode: str, seconds: float = 60) -> None:
    body = {"mode": mode, "seconds": seconds}
    answer = httpx.post(f"{server.url}/_sim/errors", json=body, trust_env=False)
    assert answer.status_code == 200, answer.text


def closed_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def write_certificate(path: Path, *, days: float) -> bytes:
    """Write a self-signed certificate for 127.0.0.1 with its key; return it as DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "device")])
    now = datetime.datetime.now(datetime.UTC)
    end = now + datetime.timedelta(days=days)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, end) - datetime.timedelta(days=1))
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return certificate.public_bytes(serialization.Encoding.DER)


def server_tls(path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
