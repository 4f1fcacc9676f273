"""Flower through the control plane: who may, what passes, and what stays behind."""

import socket
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Permission, User
from django.http import HttpResponseBase
from django.test import AsyncClient
from pytest_django import Settings

from tests.environment import write_secret
from tests.fleet.flower_stand_in import StandIn, flower_stand_in

pytestmark = pytest.mark.django_db(transaction=True)

SAME_ORIGIN = {"origin": "http://testserver"}


@pytest.fixture
def flower(settings: Settings, tmp_path: Path) -> Iterator[StandIn]:
    auth = write_secret(tmp_path / "flower", "flower:of-the-tests")
    with flower_stand_in() as stand_in:
        changes = {"flower_url": stand_in.url, "flower_auth_file": auth}
        settings.CONTROL = settings.CONTROL.model_copy(update=changes)
        yield stand_in


@pytest.fixture
def keeper() -> User:
    return User.objects.create(username="keeper", is_staff=True)


@pytest.fixture
def operator(keeper: User) -> User:
    keeper.user_permissions.add(Permission.objects.get(codename="change_worker"))
    return keeper


def ask(
    user: User, method: str, path: str, *, cookies: dict[str, str] | None = None, **options: Any
) -> tuple[HttpResponseBase, bytes]:
    """One call over ASGI, with its whole answer."""
    client = AsyncClient(enforce_csrf_checks=True)
    client.cookies.load(cookies or {})

    async def call() -> tuple[HttpResponseBase, bytes]:
        await client.aforce_login(user)
        response = await getattr(client, method)(path, **options)
        if not response.streaming:
            return response, response.content
        return response, b"".join([part async for part in response.streaming_content])

    return async_to_sync(call)()


def test_the_answer_is_passed_back_as_it_came(flower: StandIn, keeper: User) -> None:
    flower.headers = {"Content-Type": "text/x-flower", "Etag": '"7"', "Content-Encoding": "odd"}
    flower.status = 203
    response, body = ask(keeper, "get", "/flower/task/a%2Fb?x=1&y=%26")
    assert (response.status_code, body) == (203, b"flower says hello")
    assert response.streaming
    assert response["Content-Type"] == "text/x-flower"
    assert response["Content-Encoding"] == "odd"
    assert response["Content-Length"] == "17"
    assert flower.heard[0].target == "/flower/task/a/b?x=1&y=%26"


def test_our_cookies_stay_here_and_flowers_password_goes_there(
    flower: StandIn, keeper: User
) -> None:
    headers = {"authorization": "Bearer of-ours", "x-requested-with": "XMLHttpRequest"}
    ask(keeper, "get", "/flower/", cookies={"other": "1"}, headers=headers)
    heard = flower.heard[0].headers
    assert "cookie" not in heard
    assert heard["authorization"] == f"Basic {b64encode(b'flower:of-the-tests').decode()}"
    assert heard["x-requested-with"] == "XMLHttpRequest"
    assert heard["host"] in flower.url


def test_flower_is_told_who_asks_and_nobody_else_can_say_it(flower: StandIn, keeper: User) -> None:
    ask(keeper, "get", "/flower/", headers={"x-turtle-user": "boss"})
    assert flower.heard[0].headers["x-turtle-user"] == "keeper"


def test_flowers_cookies_policies_and_hops_stay_there(flower: StandIn, keeper: User) -> None:
    flower.headers = {
        "Set-Cookie": "_xsrf=1",
        "Access-Control-Allow-Origin": "*",
        "Keep-Alive": "timeout=5",
        "Content-Security-Policy": "default-src *",
        "Server": "Tornado",
    }
    response, _ = ask(keeper, "get", "/flower/")
    assert "_xsrf" not in response.cookies
    for name in ("Access-Control-Allow-Origin", "Keep-Alive", "Server"):
        assert name not in response
    assert "default-src 'none'" in response["Content-Security-Policy"]


def test_a_redirect_stays_on_this_site(flower: StandIn, keeper: User) -> None:
    flower.status = 302
    flower.headers = {"Location": f"{flower.url}/flower/workers?a=1"}
    response, _ = ask(keeper, "get", "/flower/")
    assert response["Location"] == "/flower/workers?a=1"


def test_a_head_request_stays_one(flower: StandIn, keeper: User) -> None:
    response, body = ask(keeper, "head", "/flower/")
    assert (response.status_code, body) == (200, b"")
    assert flower.heard[0].method == "HEAD"


def test_only_staff_see_flower(flower: StandIn) -> None:
    response, body = ask(User.objects.create(username="guest"), "get", "/flower/")
    assert response.status_code == 403
    assert b"Flower is for staff" in body
    assert flower.heard == []


def test_an_operator_changes_workers_from_our_own_pages(flower: StandIn, operator: User) -> None:
    response, _ = ask(
        operator, "post", "/flower/api/worker/pool/grow/w", data={"n": "2"}, headers=SAME_ORIGIN
    )
    assert response.status_code == 200
    assert flower.heard[0].method == "POST"
    assert b"2" in flower.heard[0].body


def test_staff_without_the_permission_change_nothing(flower: StandIn, keeper: User) -> None:
    response, body = ask(keeper, "post", "/flower/api/worker/shutdown/w", headers=SAME_ORIGIN)
    assert response.status_code == 403
    assert b"not change workers" in body
    assert flower.heard == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://testserver.evil.example"},
        {"referer": "https://evil.example/http://testserver/"},
        {"origin": "https://evil.example", "referer": "http://testserver/flower/"},
    ],
)
def test_a_call_from_another_sites_page_is_refused(
    flower: StandIn, operator: User, headers: dict[str, str]
) -> None:
    response, _ = ask(operator, "post", "/flower/api/worker/shutdown/w", headers=headers)
    assert response.status_code == 403
    assert flower.heard == []


def test_a_browser_that_names_only_the_page_is_believed(flower: StandIn, operator: User) -> None:
    headers = {"referer": "http://testserver/flower/workers"}
    response, _ = ask(operator, "post", "/flower/api/worker/shutdown/w", headers=headers)
    assert response.status_code == 200


def test_other_methods_are_refused(flower: StandIn, operator: User) -> None:
    response, _ = ask(operator, "delete", "/flower/x", headers=SAME_ORIGIN)
    assert response.status_code == 405
    assert flower.heard == []


@pytest.mark.parametrize("path", ["../admin/", "%2e%2e/admin/", "a/%2e%2e/%2e%2e/metrics"])
def test_no_path_leads_out_of_flowers_own(flower: StandIn, keeper: User, path: str) -> None:
    response, _ = ask(keeper, "get", f"/flower/{path}")
    assert response.status_code == 404
    assert flower.heard == []


def test_a_path_that_is_quoted_twice_stays_quoted(flower: StandIn, keeper: User) -> None:
    ask(keeper, "get", "/flower/%252e%252e/metrics")
    assert flower.heard[0].target == "/flower/%252e%252e/metrics"


def test_a_flower_that_does_not_answer_is_said_so(keeper: User, settings: Settings) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, but nobody listens
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        settings.CONTROL = settings.CONTROL.model_copy(update={"flower_url": url})
        response, body = ask(keeper, "get", "/flower/")
    assert response.status_code == 502
    assert b"Flower does not answer" in body
    assert b"flower_url" in body


def test_a_refused_password_is_said_so(flower: StandIn, keeper: User) -> None:
    flower.status = 401
    flower.headers = {"WWW-Authenticate": 'Basic realm="flower"'}
    response, body = ask(keeper, "get", "/flower/")
    assert response.status_code == 502
    assert "WWW-Authenticate" not in response
    assert b"flower_auth_file" in body


def test_a_password_file_that_others_can_read_is_refused(
    flower: StandIn, keeper: User, settings: Settings
) -> None:
    settings.CONTROL.flower_auth_file.chmod(0o644)
    response, body = ask(keeper, "get", "/flower/")
    assert response.status_code == 502
    assert b"of-the-tests" not in body
    assert flower.heard == []
