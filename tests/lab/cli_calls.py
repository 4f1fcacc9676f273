"""What the tests of the command line share: the commands, and an API with prepared answers."""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import typer
from pytest_django.live_server_helper import LiveServer
from typer.testing import CliRunner, Result

from deploy.cli.api_register import add_api_commands
from fleet.models import Scope
from tests.environment import write_secret
from tests.fleet.api_calls import make_token

app = typer.Typer()
add_api_commands(app)
PROGRAM = (
    "import typer; from deploy.cli.api_register import add_api_commands; "
    "app = typer.Typer(); add_api_commands(app); app()"
)


@dataclass(frozen=True)
class Turtle:
    """The command line, pointed at one API."""

    url: str
    token_file: Path

    def environment(self, columns: str = "250") -> dict[str, str]:
        return {
            "TURTLE_API_URL": self.url,
            "TURTLE_API_TOKEN_FILE": str(self.token_file),
            "COLUMNS": columns,
        }

    def __call__(self, *words: str) -> Result:
        return CliRunner().invoke(app, words, env=self.environment())

    def json(self, *words: str, code: int = 0) -> Any:
        result = self(*words, "--json")
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)


def turtle_for(live_server: LiveServer, folder: Path) -> Turtle:
    """The command line with a token that may enqueue at the real API."""
    token = make_token("cli", Scope.ENQUEUE)
    return Turtle(f"{live_server.url}/api/v1", write_secret(folder / "token", token))


class Scripted(ThreadingHTTPServer):
    """An API that gives prepared answers to GETs, the last one for ever."""

    def __init__(self, answers: Sequence[tuple[int, Any]]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.answers, self.asked = list(answers), threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/api/v1"


class _Answer(BaseHTTPRequestHandler):
    server: Scripted

    def do_GET(self) -> None:
        answers = self.server.answers
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.server.asked.set()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        return


def shown(status: str) -> dict[str, Any]:
    texts = ("reason", "waiting_reason", "enqueued_by", "queue_name", "effect", "task", "id")
    nothing = ("run_after", "expires_at", "finished_at", "error", "return_value", "result_meta")
    return {
        **dict.fromkeys(texts, "x"),
        **dict.fromkeys(nothing),
        "args": [],
        "kwargs": {},
        "status": status,
        "enqueued_at": "2026-03-01T00:00:00Z",
        "attempt_list": [],
        "events": [],
    }
