"""What the tests of the API share: tokens, calls over Django's test client, and sites."""

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.http import HttpResponse
from django.test import Client

from fleet.api.credentials import digest_of, new_token
from fleet.models import ApiToken, Scope, Site, TaskRun

PROBLEM = "application/problem+json"


def make_site(name: str, number: int) -> Site:
    """A site as `provision` would make it."""
    return Site.objects.create(name=name, number=number, title=f"Site {name}")


def make_token(name: str, scope: Scope, site: Site | None = None, **fields: Any) -> str:
    """A stored token; returns the secret."""
    token = new_token()
    ApiToken.objects.create(name=name, digest=digest_of(token), scope=scope, site=site, **fields)
    return token


def make_run(task: str = "dev.git_log", **fields: Any) -> TaskRun:
    """A run as the ledger would write it, for lists."""
    values: dict[str, Any] = {
        "id": uuid.uuid4(),
        "task": task,
        "capability": task.partition(".")[0],
        "queue_name": task.partition(".")[0],
        "effect": "A",
        "enqueued_at": datetime.now(UTC),
    }
    return TaskRun.objects.create(**{**values, **fields})


@dataclass(frozen=True)
class Api:
    """The API as one caller sees it."""

    token: str = ""

    def get(self, path: str, **query: Any) -> HttpResponse:
        return Client().get(f"/api/v1{path}", query, headers=self.headers())  # type: ignore[return-value]

    def post(self, path: str, body: Any = None) -> HttpResponse:
        text = body if isinstance(body, str) else json.dumps(body)
        return self.post_raw(path, text if body is not None else "")

    def post_raw(self, path: str, content: str | bytes) -> HttpResponse:
        return Client().post(  # type: ignore[return-value]
            f"/api/v1{path}",
            content,
            content_type="application/json",
            headers=self.headers(),
        )

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def problem(response: HttpResponse, status: int) -> dict[str, Any]:
    """The problem of a refused call; fails where it is none or has another status."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == PROBLEM
    body: dict[str, Any] = json.loads(response.content)
    assert body["status"] == status
    assert body["type"].startswith("urn:turtle-fleet:problem:")
    assert body["title"]
    assert body["detail"]
    return body


def ok(response: HttpResponse, status: int = 200) -> Any:
    """The JSON of a call that worked."""
    assert response.status_code == status, response.content
    return json.loads(response.content)
