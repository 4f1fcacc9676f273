"""HTTP to a device: the pin, the limits, the refusals."""

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.lab.simulators.unifi import UnifiConsole
from fleet.policy.errors import ConfigurationError, FleetError, NetworkError, TheirError
from probes import device_http as transport
from probes.device_http import Call, CertificateMismatchError, DeviceHttp
from probes.unifi.calls import login
from probes.unifi.client import UnifiClient
from tests.probes.support import PASSWORD, Clock, options, serve, server_tls, write_certificate

GET = Call(method="GET", path="/")


def test_a_pinned_certificate_is_accepted_even_when_it_has_expired(
    tmp_path: Path, clock: Clock
) -> None:
    shown = write_certificate(tmp_path / "device.pem", days=-3)
    pin = hashlib.sha256(shown).hexdigest().upper()
    with serve(UnifiConsole(options(clock)), server_tls(tmp_path / "device.pem")) as server:
        client = UnifiClient(
            DeviceHttp(server.url, certificate_sha256=pin), "turtle", lambda: PASSWORD
        )
        assert client.gateway_health().wan_up is True
        client.close()


def test_another_certificate_gets_no_request(tmp_path: Path, clock: Clock) -> None:
    write_certificate(tmp_path / "device.pem", days=30)
    console = UnifiConsole(options(clock))
    with serve(console, server_tls(tmp_path / "device.pem")) as server:
        http = DeviceHttp(server.url, certificate_sha256="ab" * 32)
        with pytest.raises(CertificateMismatchError, match="not the pinned abab") as caught:
            http.send(login("turtle", PASSWORD))
        http.close()
    assert not caught.value.transient
    assert console.requests == 0


def test_an_untrusted_certificate_without_a_pin_is_refused(tmp_path: Path, clock: Clock) -> None:
    write_certificate(tmp_path / "device.pem", days=30)
    with serve(UnifiConsole(options(clock)), server_tls(tmp_path / "device.pem")) as server:
        http = DeviceHttp(server.url)
        with pytest.raises(TheirError, match=r"not trusted.*certificate_sha256"):
            http.send(GET)
        http.close()


@pytest.mark.parametrize(
    ("url", "pin", "message"),
    [
        ("ftp://192.0.2.1", None, "must look like"),
        ("https://", None, "must look like"),
        ("http://192.0.2.1:port", None, "no URL"),
        ("https://me:secret-1@192.0.2.1", None, "must not hold a password"),
        ("http://192.0.2.1", "ab" * 32, "starts with https"),
        ("https://192.0.2.1", "ab", "64 hex digits"),
    ],
)
def test_a_wrong_address_or_pin_is_refused_at_the_door(
    url: str, pin: str | None, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        DeviceHttp(url, certificate_sha256=pin)
    assert "secret-1" not in str(caught.value)


def test_secrets_are_not_shown() -> None:
    assert "hunter2" not in repr(login("turtle", "hunter2"))


@contextmanager
def raw_server(*parts: bytes, pause_s: float = 0.0) -> Iterator[str]:
    """Answers one connection with these bytes, `pause_s` apart, whatever is asked."""
    gone = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                for part in parts:
                    try:
                        connection.sendall(part)
                    except OSError:
                        return
                    gone.wait(pause_s)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        gone.set()
        thread.join(5)


def error_of(url: str, timeout_s: float = 2.0) -> FleetError:
    http = DeviceHttp(url, timeout_s=timeout_s)
    with pytest.raises(FleetError) as caught:
        http.send(GET)
    http.close()
    return caught.value


def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_BODY_BYTES", 1000)
    with raw_server(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000) as url:
        error = error_of(url)
    assert isinstance(error, TheirError)
    assert "more than 1000 bytes" in str(error)


def test_an_answer_that_drips_is_cut() -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    with raw_server(head, *([b"x"] * 100), pause_s=0.1) as url:
        error = error_of(url, timeout_s=0.3)
    assert isinstance(error, NetworkError)
    assert "for one answer" in str(error)


def test_what_is_no_http_is_the_networks_fault() -> None:
    with raw_server(b"SSH-2.0-OpenSSH_9.2\r\n") as url:
        assert isinstance(error_of(url), NetworkError)


def test_an_answer_that_breaks_off_is_the_networks_fault() -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{") as url:
        assert isinstance(error_of(url), NetworkError)


def test_a_body_that_cannot_be_decoded_is_theirs() -> None:
    body = json.dumps({}).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    with raw_server(head.encode() + body) as url:
        error = error_of(url)
    assert isinstance(error, TheirError)
    assert error.transient
