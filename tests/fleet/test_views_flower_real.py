"""The real Flower behind the proxy: its pages work under our policy."""

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from fleet.views.security import HEADER, script_hash
from tests.environment import write_secret
from tests.fleet.test_views_flower import ask

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

CREDENTIALS = "flower:of-the-real-one"
STARTS_WITHIN_S = 30.0


@pytest.fixture
def real_flower(settings: Settings, tmp_path: Path) -> Iterator[str]:
    """Flower over an in-memory broker, on a free port; yields its URL."""
    (tmp_path / "quiet.py").write_text(
        "from celery import Celery\napp = Celery('quiet', broker='memory://')\n"
    )
    url = f"http://127.0.0.1:{free_port()}"
    options = [f"--port={httpx.URL(url).port}", "--address=127.0.0.1", "--url_prefix=flower"]
    command = [sys.executable, "-m", "celery", "-A", "quiet", "flower", *options]
    env = {**os.environ, "FLOWER_BASIC_AUTH": CREDENTIALS}
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(command, cwd=tmp_path, env=env, stdout=log, stderr=log) as process,
    ):
        try:
            wait_for(url, process)
            auth = write_secret(tmp_path / "auth", CREDENTIALS)
            changes = {"flower_url": url, "flower_auth_file": auth}
            settings.CONTROL = settings.CONTROL.model_copy(update=changes)
            yield url
        finally:
            process.kill()


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return once Flower answers; fail when it ends or takes too long."""
    deadline = time.monotonic() + STARTS_WITHIN_S
    pause = threading.Event()
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"{url}/flower/healthcheck", trust_env=False)
        except httpx.HTTPError:
            pause.wait(0.1)
        else:
            return
    pytest.fail(f"Flower did not start within {STARTS_WITHIN_S} s")


def test_flowers_pages_files_and_inline_scripts_pass(real_flower: str) -> None:
    keeper = User.objects.create(username="keeper", is_staff=True)
    response, body = ask(keeper, "get", "/flower/")
    assert response.status_code == 200
    page = body.decode()
    inline = re.findall(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", page, re.DOTALL)
    assert [text for text in inline if script_hash(text) not in response[HEADER]] == []
    script = re.search(r'src="(/flower/static/js/flower\.js[^"]*)"', page)
    assert script is not None
    answer, content = ask(keeper, "get", script[1])
    assert answer.status_code == 200
    assert len(content) > 1_000
