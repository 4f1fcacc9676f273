"""Checks of services on this machine."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest

from deploy.lab.simulators.device import Device, Reply, Request
from deploy.lab.simulators.faults import FaultRequest, Mode
from deploy.lab.simulators.server import DeviceServer
from fleet.policy.errors import BadArgumentsError, FleetError, NetworkError, TheirError
from probes import network
from tests.probes.support import Clock, closed_port, options, serve, server_tls, write_certificate


class Website(Device):
    """Answers each path with the status that it names."""

    seen_host = ""

    def answer(self, request: Request) -> Reply:
        self.seen_host = request.headers["host"]
        status = int(request.path.strip("/") or 200)
        return Reply(status=status, headers=(("Location", "http://169.254.169.254/"),))


@pytest.fixture
def website(clock: Clock) -> Iterator[DeviceServer]:
    with serve(Website(options(clock, slow_s=5))) as server:
        yield server


@contextmanager
def listening(backlog: int = 16) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as listener:
        yield listener.getsockname()[1]


@contextmanager
def silent_port() -> Iterator[int]:
    """A port whose queue of connections is full: more get no answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        held = [socket.socket() for _ in range(4)]
        for connection in held:
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.1", port))
        yield port
        for connection in held:
            connection.close()


def test_a_tcp_port_that_answers() -> None:
    with listening() as port:
        result = network.tcp_check("localhost", port, timeout_s=2)
    assert result["address"] in ("127.0.0.1", "::1")
    assert isinstance(result["connect_ms"], float)


def test_a_tcp_port_that_refuses() -> None:
    with pytest.raises(NetworkError, match="Connection refused"):
        network.tcp_check("127.0.0.1", closed_port())


def test_a_tcp_port_that_keeps_silent() -> None:
    with silent_port() as port, pytest.raises(NetworkError, match="did not answer within"):
        network.tcp_check("127.0.0.1", port, timeout_s=0.2)


@pytest.mark.parametrize("port", [0, 65_536, -1])
def test_an_impossible_port_is_refused(port: int) -> None:
    with pytest.raises(BadArgumentsError, match="port must be"):
        network.tcp_check("127.0.0.1", port)


@pytest.mark.parametrize("timeout_s", [0, -1, 31, float("nan")])
def test_an_unreasonable_time_limit_is_refused(timeout_s: float) -> None:
    with pytest.raises(BadArgumentsError, match="timeout_s"):
        network.tcp_check("127.0.0.1", 80, timeout_s)


@pytest.mark.parametrize("host", ["", "a" * 300, "nul\0byte"])
def test_a_name_that_cannot_be_is_theirs(host: str) -> None:
    with pytest.raises(FleetError, match="cannot be resolved"):
        network.resolve(host, 5)


def test_a_slow_resolver_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(5) and [])
    with pytest.raises(NetworkError, match=r"not resolved within 0\.1 s"):
        network.resolve("slow.example", 0.1)
    release.set()


def test_the_latency_of_a_link() -> None:
    with listening() as port:
        result = network.link_latency("127.0.0.1", port, count=4, interval_s=0)
    assert (result["sent"], result["lost"], result["loss_percent"]) == (4, 0, 0.0)
    low, middle, high = (result[key] for key in ("min_ms", "median_ms", "max_ms"))
    assert isinstance(low, float)
    assert isinstance(middle, float)
    assert isinstance(high, float)
    assert 0 <= low <= middle <= high


def test_a_link_without_a_peer_loses_all_and_invents_nothing() -> None:
    result = network.link_latency("127.0.0.1", closed_port(), count=3, interval_s=0)
    assert (result["lost"], result["loss_percent"]) == (3, 100.0)
    assert [result[key] for key in ("min_ms", "median_ms", "max_ms")] == [None, None, None]


@pytest.mark.parametrize("count", [0, 51])
def test_the_number_of_connects_is_limited(count: int) -> None:
    with pytest.raises(BadArgumentsError, match="count"):
        network.link_latency("127.0.0.1", 80, count=count)


def test_many_slow_connects_are_refused_before_the_first() -> None:
    with pytest.raises(BadArgumentsError, match="at most 30"):
        network.link_latency("127.0.0.1", closed_port(), count=20, timeout_s=2)


@pytest.mark.parametrize(("path", "ok"), [("/204", True), ("/404", False), ("/503", False)])
def test_every_http_status_is_an_answer(website: DeviceServer, path: str, ok: bool) -> None:
    result = network.http_check(website.url + path)
    assert (result["status"], result["ok"]) == (int(path[1:]), ok)
    assert result["certificate_days_left"] is None


def test_a_redirect_is_shown_and_not_followed(website: DeviceServer) -> None:
    result = network.http_check(f"{website.url}/302", method="GET")
    assert (result["status"], result["location"]) == (302, "http://169.254.169.254/")


def test_the_site_sees_the_name_that_was_asked(website: DeviceServer) -> None:
    port = website.server_address[1]
    network.http_check(f"http://localhost:{port}/")
    assert isinstance(website.device, Website)
    assert website.device.seen_host == f"localhost:{port}"


def test_an_http_answer_that_does_not_come(website: DeviceServer) -> None:
    website.device.faults.switch(FaultRequest(mode=Mode.SLOW))
    with pytest.raises(NetworkError, match="did not answer within"):
        network.http_check(website.url, timeout_s=0.3)


def test_a_head_that_drips_ends_with_the_time_limit() -> None:
    gone = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                while not gone.wait(0.05):
                    try:
                        connection.sendall(b"H")
                    except OSError:
                        return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        with pytest.raises(NetworkError):
            network.http_check(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout_s=0.4)
        gone.set()
        thread.join(5)


@contextmanager
def https(path: Path, days: float) -> Iterator[str]:
    write_certificate(path, days=days)
    with serve(Website(options(Clock())), server_tls(path)) as server:
        yield server.url


def test_an_untrusted_certificate_is_refused_unless_told(tmp_path: Path) -> None:
    with https(tmp_path / "site.pem", days=12.5) as url:
        with pytest.raises(TheirError, match="not trusted"):
            network.http_check(url)
        assert network.http_check(url, verify=False)["certificate_days_left"] == 12.5


def test_an_expired_certificate_has_negative_days_left(tmp_path: Path) -> None:
    with https(tmp_path / "site.pem", days=-2) as url:
        assert network.http_check(url, verify=False)["certificate_days_left"] == -2.0


def test_days_left_are_counted_from_now(tmp_path: Path) -> None:
    shown = write_certificate(tmp_path / "site.pem", days=10)
    assert network.days_left(shown, datetime.now(UTC) + timedelta(days=4)) == 6.0


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fd00:ec2::254]/",
        "http://2852039166/",
    ],
)
def test_link_local_and_metadata_addresses_are_refused(url: str) -> None:
    with pytest.raises(BadArgumentsError, match="metadata address"):
        network.http_check(url)


def test_a_name_with_one_refused_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [ip_address("127.0.0.1"), ip_address("169.254.169.254")]
    monkeypatch.setattr(network, "resolve", lambda *_: both)
    with pytest.raises(BadArgumentsError, match="metadata address"):
        network.http_check("http://innocent.example/")


@pytest.mark.parametrize(
    ("url", "method", "message"),
    [
        ("file:///etc/passwd", "GET", "must start with http"),
        ("http://", "GET", "must start with http"),
        ("http://192.0.2.1:port/", "GET", "no URL"),
        ("http://me:word@192.0.2.1/", "GET", "user name or password"),
        ("http://192.0.2.1/", "POST", "GET or HEAD"),
    ],
)
def test_a_url_or_method_that_does_not_fit_is_refused(url: str, method: str, message: str) -> None:
    with pytest.raises(BadArgumentsError, match=message):
        network.http_check(url, method)


def test_the_tls_name_is_the_one_that_was_asked(tmp_path: Path) -> None:
    asked: list[str | None] = []
    write_certificate(tmp_path / "site.pem", days=3)
    tls = server_tls(tmp_path / "site.pem")

    def note(_socket: object, name: str | None, _context: ssl.SSLContext) -> None:
        asked.append(name)

    tls.sni_callback = note
    with serve(Website(options(Clock())), tls) as server:
        port = server.server_address[1]
        network.http_check(f"https://localhost:{port}/", verify=False)
    assert asked == ["localhost"]
