"""Who gets in, what a browser may load, and the health check."""

import re

import pytest
from django.db import DatabaseError, connection
from django.test import Client

from fleet.views.security import HEADER, policy_for, script_hash

ON, OFF = (script_hash(f"\nvar autorefresh = {value};\n") for value in (1, 0))
RUN = "/runs/00000000-0000-4000-8000-000000000000/"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/", "/fleet/fragment", "/runs/", "/flower/", "/flower/x", RUN])
def test_pages_send_strangers_to_the_login(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 302
    assert response["Location"].startswith("/login/?next=")


@pytest.mark.django_db
def test_the_health_check_needs_no_login_and_asks_the_database(client: Client) -> None:
    response = client.get("/healthz")
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "database": "answers"}


@pytest.mark.django_db
def test_the_health_check_fails_when_the_database_does_not_answer(client: Client) -> None:
    def refuse(*_: object) -> None:
        raise DatabaseError("secret words of the driver")

    with connection.execute_wrapper(refuse):
        response = client.get("/healthz")
    assert response.status_code == 503
    assert b"secret words" not in response.content


@pytest.mark.django_db
def test_a_wrong_password_is_told_at_the_login(client: Client) -> None:
    response = client.post("/login/", {"username": "keeper", "password": "wrong"})
    assert b"Please enter a correct username and password" in response.content


def test_our_own_pages_allow_nothing_inline_and_nothing_foreign() -> None:
    for path in ("/", "/runs/", "/login/", "/adminish", "/flowers/"):
        policy = policy_for(path)
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "http" not in policy


@pytest.mark.parametrize(
    ("path", "script"),
    [
        ("/admin/", "'self' 'unsafe-eval'"),
        ("/flower/tasks", f"'self' {ON} {OFF}"),
        ("/api/v1/docs", "'self'"),
    ],
)
def test_pages_of_others_get_only_what_they_need(path: str, script: str) -> None:
    policy = policy_for(path)
    assert f"script-src {script};" in policy
    assert "style-src 'self' 'unsafe-inline'" in policy
    assert "frame-ancestors 'none'" in policy


def test_every_answer_carries_the_policy(staff: Client) -> None:
    for path in ("/", "/runs/", "/login/", "/healthz", "/nowhere-at-all"):
        assert staff.get(path)[HEADER] == policy_for(path)


def test_our_pages_have_no_inline_script_or_style(staff: Client) -> None:
    for path in ("/", "/runs/", "/login/", "/nowhere-at-all"):
        content = staff.get(path).content.decode()
        assert not re.search(r"\sstyle=|\son[a-z]+=|<style|javascript:", content)
        assert re.findall(r"<script(?![^>]*\ssrc=)", content) == []


def test_pages_load_nothing_from_elsewhere(staff: Client) -> None:
    content = staff.get("/").content.decode()
    assert re.findall(r'(?:src|href)="(?:https?:)?//', content) == []


@pytest.mark.django_db
def test_browsers_find_the_icon_where_they_look_for_it(client: Client) -> None:
    response = client.get("/favicon.ico")
    assert (response.status_code, response["Location"]) == (302, "/static/fleet/favicon.svg")
