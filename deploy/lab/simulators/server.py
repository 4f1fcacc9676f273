"""Serve a simulated device over HTTP or HTTPS, and the command line of the simulators."""

import argparse
import signal
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from types import FrameType

from deploy.lab.simulators.device import Device, Options, Reply, Request, json_reply
from tasks.settings import read_secret

LARGEST_BODY_BYTES = 1 << 20


class DeviceServer(ThreadingHTTPServer):
    """An HTTP server in front of one device; port 0 takes a free one."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self, host: str, port: int, device: Device, tls: ssl.SSLContext | None = None
    ) -> None:
        self.device = device
        self._scheme = "https" if tls else "http"
        super().__init__((host, port), _Handler)
        if tls:
            # The handshake is left to the request's thread: a silent client must not block all.
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{self._scheme}://{self.server_address[0]!s}:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Leave clients that hang up, or refuse the certificate, without a traceback."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body leave together: apart, each answer waits 40 ms for a delayed acknowledgement.
    wbufsize = 1 << 16
    timeout = 60.0
    server: DeviceServer

    def _serve(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        if not length.isdigit() or int(length) > LARGEST_BODY_BYTES:
            self.close_connection = True
            self._send(json_reply({"error": "unusable Content-Length"}, 413))
            return
        request = Request(
            method=self.command,
            path=self.path.partition("?")[0],
            headers={key.lower(): value for key, value in self.headers.items()},
            body=self.rfile.read(int(length)),
        )
        caller, own = self.client_address[0], self.connection.getsockname()[0]
        # In a network namespace a caller of the same machine comes from the address it calls.
        is_local = caller == own or ip_address(caller).is_loopback
        self._send(self.server.device.reply(request, is_local=is_local))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - http.server's names

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's
        """Keep silent: the lab's log would fill with polls."""


@contextmanager
def serving(server: DeviceServer) -> Iterator[DeviceServer]:
    """Serve in a thread while the context lasts."""
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.device.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


def main(what: str, make: Callable[[Options], Device]) -> None:
    """Run a simulator from the command line until SIGTERM or SIGINT."""
    arguments = _parser(what).parse_args()
    device = make(_options(arguments))
    server = DeviceServer(arguments.host, arguments.port, device, _tls(arguments))
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        sys.stdout.write(f"{what} simulator ready at {server.url}\n")
        sys.stdout.flush()
        server.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        device.stopping.set()
    finally:
        server.server_close()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser(what: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=f"A simulated device: {what}.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--username", required=True)
    parser.add_argument("--password-file", type=Path, required=True, help="a file of mode 600")
    parser.add_argument("--seed", default="turtle", help="other seeds, other numbers")
    parser.add_argument("--session-s", type=float, default=300.0)
    parser.add_argument("--slow-s", type=float, default=10.0)
    parser.add_argument("--login-limit", type=int, default=5)
    parser.add_argument("--login-window-s", type=float, default=60.0)
    parser.add_argument("--certificate-file", type=Path, help="PEM, with the key: serve HTTPS")
    return parser


def _options(arguments: argparse.Namespace) -> Options:
    return Options(
        username=arguments.username,
        password=read_secret(arguments.password_file),
        seed=arguments.seed,
        session_s=arguments.session_s,
        slow_s=arguments.slow_s,
        login_limit=arguments.login_limit,
        login_window_s=arguments.login_window_s,
    )


def _tls(arguments: argparse.Namespace) -> ssl.SSLContext | None:
    if arguments.certificate_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.certificate_file)
    return context
