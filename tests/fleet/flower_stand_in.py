"""An HTTP server in Flower's place, which notes what reaches it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Heard:
    """One request as it arrived; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class StandIn:
    """Answers every request with `status`, `headers` and `body`."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"flower says hello"
    heard: list[Heard] = field(default_factory=list)


@contextmanager
def flower_stand_in() -> Iterator[StandIn]:
    """Listens on a free port of the loopback address."""
    stand_in = StandIn()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(stand_in))
    stand_in.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(stand_in: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            stand_in.heard.append(Heard(self.command, self.path, headers, body))
            self.send_response(stand_in.status)
            for name, value in stand_in.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(stand_in.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(stand_in.body)

        def log_message(self, *_: object) -> None:
            """The tests look at `heard`."""

    for method in ("GET", "HEAD", "POST"):
        setattr(Handler, f"do_{method}", Handler._answer)

    return Handler
