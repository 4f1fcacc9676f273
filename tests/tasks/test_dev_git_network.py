"""Servers that refuse, break, or are away: whose fault, and whether to retry."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fleet.policy.errors import (
    ConfigurationError,
    FleetError,
    NetworkError,
    TheirError,
)
from tasks import dev
from tests.tasks.devbox import (
    Box,
    free_port,
    make_box,
    make_repository,
)


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    with make_box(tmp_path, monkeypatch) as box:
        box.configure(url_hosts='["127.0.0.1"]', url_schemes='["git", "http"]')
        yield box


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status = int(self.path.split("/")[1])
        self.send_response(status)
        if status == 301:
            self.send_header("Location", "http://127.0.0.1:1/elsewhere/info/refs")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def http_url() -> Iterator[str]:
    """A web server that answers /<status>/... with this status."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "kind", "transient"),
    [
        (401, TheirError, False),
        (403, TheirError, False),
        (404, TheirError, False),
        (301, TheirError, False),
        (429, NetworkError, True),
        (500, NetworkError, True),
        (503, NetworkError, True),
    ],
)
def test_an_error_of_a_web_server_says_whether_to_retry(
    box: Box, http_url: str, status: int, kind: type[FleetError], transient: bool
) -> None:
    with pytest.raises(kind) as error:
        dev.git_log.run(f"{http_url}/{status}/repo")
    assert error.value.transient is transient


def test_a_server_that_is_away_is_the_network_s_fault(box: Box) -> None:
    for scheme in ("git", "http"):
        with pytest.raises(NetworkError) as error:
            dev.git_log.run(f"{scheme}://127.0.0.1:{free_port()}/repo")
        assert error.value.transient


def test_a_server_that_never_answers_is_given_up(box: Box) -> None:
    box.configure(max_time_s="0.5")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(NetworkError, match="longer than"):
            dev.git_log.run(f"git://127.0.0.1:{port}/repo")


def test_without_git_the_box_is_wrongly_configured(box: Box) -> None:
    make_repository(box.root / "repo", "a")
    box.configure(command_path=f'"{box.outside}"')
    with pytest.raises(ConfigurationError, match="command_path"):
        dev.git_status.run(f"{box.root}/repo")
