"""Serve the Machines API over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from threading import Thread

from deploy.lab.simulators.device import Reply, Request, json_reply
from deploy.lab.simulators.fly.api import MachinesApi

LARGEST_BODY_BYTES = 1 << 16


class MachinesServer(ThreadingHTTPServer):
    """An HTTP server in front of the API; port 0 takes a free one."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, host: str, port: int, api: MachinesApi) -> None:
        self.api = api
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body leave together: apart, each answer waits 40 ms for a delayed acknowledgement.
    wbufsize = 1 << 16
    timeout = 90.0
    server: MachinesServer

    def _serve(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        if not length.isdigit() or int(length) > LARGEST_BODY_BYTES:
            self.close_connection = True
            self._send(json_reply({"error": "unusable Content-Length"}, 413))
            return
        request = Request(
            method=self.command,
            path=self.path,
            headers={key.lower(): value for key, value in self.headers.items()},
            body=self.rfile.read(int(length)),
        )
        try:
            self._send(self.server.api.reply(request, is_local=self._is_local()))
        except OSError:
            self.close_connection = True  # the client did not wait for it

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - http.server's names

    def _is_local(self) -> bool:
        """Whether the client is on this machine: loopback, or the address that it called."""
        client = self.client_address[0]
        own = self.connection.getsockname()[0]
        return bool(ip_address(client).is_loopback) or client == own

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's
        """Keep silent: the lab's log would fill with polls."""


@contextmanager
def serving(server: MachinesServer) -> Iterator[MachinesServer]:
    """Serve in a thread while the context lasts; what runs in the machine ends with it."""
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.api.stopping.set()
        server.api.machine.close()
        server.shutdown()
        server.server_close()
        thread.join()
