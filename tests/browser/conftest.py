"""Debian's Chromium, and a page that fails the test when its console reports an error."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PASSWORD = "slow-and-steady-1"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser a module. Playwright's loop runs in this thread, so Django must be told that
    the tests may use the database here."""
    if not CHROMIUM.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{CHROMIUM} is missing")
        pytest.skip(f"{CHROMIUM} is missing")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield found
        found.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def console() -> list[str]:
    """Errors that the browser's console reported, refused inline code among them."""
    return []


@pytest.fixture
def page(live_server: LiveServer, browser: Browser, console: list[str]) -> Iterator[Page]:
    """A page of a logged-in operator, with a clock that the test turns."""
    User.objects.create_superuser("keeper", "", PASSWORD)

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            console.append(message.text)

    context = browser.new_context(base_url=live_server.url, reduced_motion="reduce")
    context.set_default_timeout(10_000)
    opened = context.new_page()
    opened.on("console", note)
    opened.on("pageerror", lambda error: console.append(str(error)))
    opened.clock.install()
    opened.goto("/login/?next=/runs/")
    opened.get_by_label("Username").fill("keeper")
    opened.get_by_label("Password").fill(PASSWORD)
    opened.get_by_role("main").get_by_role("button", name="Log in").click()
    opened.wait_for_url("**/runs/")
    yield opened
    context.close()
