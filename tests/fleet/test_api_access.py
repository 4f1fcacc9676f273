"""Who may call the API, and what the others get."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from fleet.api.credentials import digest_of
from fleet.models import ApiToken, Scope
from tests.fleet.api_calls import Api, make_site, make_token, ok, problem

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "path", ["/tasks", "/tasks/1", "/workers", "/sites", "/queues", "/openapi.json", "/docs"]
)
def test_without_credentials_every_read_is_401_and_not_the_login_page(path: str) -> None:
    response = Api().get(path)

    problem(response, 401)
    assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/tasks", "/tasks/1/cancel", "/tasks/1/retry", "/reports"])
def test_without_credentials_every_write_is_401(path: str) -> None:
    problem(Api().post(path, {}), 401)


@pytest.mark.parametrize("token", ["tf_wrong", "", "\udcff", "a b"])
def test_an_unknown_token_is_401(token: str) -> None:
    response = Client().get("/api/v1/tasks", headers={"Authorization": f"Bearer {token}"})

    problem(response, 401)  # type: ignore[arg-type]


def test_an_expired_token_is_401_and_one_that_is_still_good_works() -> None:
    now = timezone.now()
    old = make_token("old", Scope.READ, expires_at=now - timedelta(seconds=1))
    good = make_token("good", Scope.READ, expires_at=now + timedelta(hours=1))

    problem(Api(old).get("/tasks"), 401)
    ok(Api(good).get("/tasks"))


def test_a_revoked_token_is_401() -> None:
    token = make_token("gone", Scope.READ, revoked_at=timezone.now())

    assert "revoked" in problem(Api(token).get("/tasks"), 401)["detail"]


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        (Scope.READ, {"GET /tasks"}),
        (Scope.ENQUEUE, {"GET /tasks", "POST /tasks"}),
        (Scope.AGENT, {"POST /reports"}),
    ],
)
def test_a_token_reaches_only_what_its_scope_covers(scope: Scope, allowed: set[str]) -> None:
    site = make_site("dc1", 1) if scope is Scope.AGENT else None
    api = Api(make_token("t", scope, site))
    statuses = {
        "GET /tasks": api.get("/tasks").status_code,
        "POST /tasks": api.post("/tasks", {}).status_code,
        "POST /reports": api.post("/reports", {}).status_code,
    }

    # An empty object is not valid (422), which only a caller who may call gets to know.
    assert {call for call, status in statuses.items() if status in (200, 422)} == allowed
    assert {status for call, status in statuses.items() if call not in allowed} == {403}


def test_only_the_digest_of_a_token_is_stored() -> None:
    token = make_token("t", Scope.READ)

    row = ApiToken.objects.get()
    assert row.digest == digest_of(token)
    assert token not in str(vars(row))


def test_the_last_use_is_noted_once_a_minute() -> None:
    token = make_token("t", Scope.READ)
    ok(Api(token).get("/tasks"))
    first = ApiToken.objects.get().last_used_at
    ok(Api(token).get("/tasks"))
    second = ApiToken.objects.get().last_used_at
    ApiToken.objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
    ok(Api(token).get("/tasks"))

    third = ApiToken.objects.get().last_used_at
    assert first is not None
    assert second == first
    assert third is not None
    assert third > first


def signed_in(*, staff: bool) -> Client:
    user = get_user_model().objects.create_user("olga", password="x" * 12, is_staff=staff)
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    return client


def test_staff_reads_and_sees_the_documentation_with_its_session() -> None:
    client = signed_in(staff=True)

    assert client.get("/api/v1/tasks").status_code == 200
    assert client.get("/api/v1/openapi.json").status_code == 200
    assert b"swagger" in client.get("/api/v1/docs").content


def test_a_session_does_not_write_and_one_without_staff_does_not_read() -> None:
    assert signed_in(staff=True).post("/api/v1/tasks", "{}", "application/json").status_code == 401
    get_user_model().objects.all().delete()
    assert signed_in(staff=False).get("/api/v1/tasks").status_code == 403


def test_a_browser_that_asks_for_the_documentation_is_sent_to_the_login() -> None:
    response = Client().get("/api/v1/docs", headers={"Accept": "text/html,*/*"})

    assert response.status_code == 302
    assert response["Location"].startswith("/login/?next=")


def test_an_unknown_address_and_a_wrong_method_are_problems_too() -> None:
    api = Api(make_token("t", Scope.READ))

    problem(api.get("/nothing/here"), 404)
    problem(api.get("/"), 404)
    wrong = api.post("/workers", {})
    assert "GET" in problem(wrong, 405)["detail"]
    assert wrong["Allow"] == "GET"


def test_the_openapi_document_names_problems_by_their_media_type() -> None:
    paths = ok(Api(make_token("t", Scope.READ)).get("/openapi.json"))["paths"]

    responses = paths["/api/v1/tasks"]["post"]["responses"]
    assert list(responses["422"]["content"]) == ["application/problem+json"]
    assert list(responses["201"]["content"]) == ["application/json"]


def test_who_sends_no_credentials_is_told_which_header_is_wanted() -> None:
    body = problem(Api().get("/tasks"), 401)

    assert "send the header Authorization: Bearer <token>" in body["detail"]


def test_a_scope_that_does_not_do_is_named_beside_the_one_that_would() -> None:
    body = problem(Api(make_token("viewer", Scope.READ)).post("/tasks", {}), 403)

    assert body["title"] == "Scope enqueue or operate is needed"
    assert (body["scope"], body["needed"]) == ("read", ["enqueue", "operate"])
    assert body["type"].endswith(":wrong-scope")
