"""The HTTP API for the command line: where it is, how it is called, how it says no."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from fleet.policy.errors import ConfigurationError, NetworkError, TheirError
from tasks.settings import read_secret

LAB_FILE = Path(".turtle/lab.json")
#: The API answers from its own database; slower than this means that it does not answer.
TIMEOUT_S = 15.0
#: Answers of a proxy, or of a control plane that cannot write now.
AWAY = frozenset({502, 503, 504})


class UnreachableError(NetworkError):
    """No answer, or one that says to come back later."""


class RefusedByApiError(TheirError):
    """The API said no; `problem` is its RFC 9457 object."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(_sentence(problem))
        self.problem = dict(problem)


@dataclass(frozen=True, slots=True)
class Target:
    """An API (its base URL, with `/api/v1`) and the token for it."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"Target({self.url!r}, token=...)"


def find_target(url: str | None, token_file: Path | None, start: Path | None = None) -> Target:
    """The API that was named, else the lab of this folder or of one above it.

    Raises ConfigurationError, saying what to set.
    """
    lab = _lab(start or Path.cwd())
    found_url = (url or lab.get("api_url", "")).rstrip("/")
    if not found_url:
        raise ConfigurationError(
            "which fleet? Use --url and --token-file, or TURTLE_API_URL and TURTLE_API_TOKEN_FILE, "
            f"or run this where a lab has been started (no {LAB_FILE} here or above)"
        )
    if token_file is not None:
        return Target(found_url, read_secret(token_file))
    if found_url == str(lab.get("api_url", "")).rstrip("/") and lab.get("api_token"):
        return Target(found_url, str(lab["api_token"]))
    raise ConfigurationError(
        f"no token for {found_url}: use --token-file or TURTLE_API_TOKEN_FILE with a file of "
        "mode 600 that holds it"
    )


def _lab(start: Path) -> dict[str, Any]:
    for folder in (start, *start.parents):
        path = folder / LAB_FILE
        if path.is_file() and os.access(path, os.R_OK):
            return _json_object(path)
    return {}


def _json_object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigurationError(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ConfigurationError(f"{path} holds no JSON object; start the lab again")
    return found


class ApiClient:
    """Calls of one command; closes its connections at the end of a `with` block."""

    def __init__(self, target: Target) -> None:
        self._url = _checked(target.url)
        self._http = httpx.Client(
            base_url=target.url + "/",
            headers={"Authorization": f"Bearer {target.token}", "Accept": "application/json"},
            timeout=TIMEOUT_S,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of a GET; parameters that are None or empty are left out."""
        chosen = {name: value for name, value in query.items() if value not in (None, [], ())}
        return self._call("GET", path, params=chosen)

    def post(self, path: str, body: Any) -> Any:
        """The JSON of a POST."""
        return self._call("POST", path, json=body)

    def delete(self, path: str) -> Any:
        """The answer to a DELETE."""
        return self._call("DELETE", path)

    def _call(self, method: str, path: str, **options: Any) -> Any:
        try:
            response = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise UnreachableError(
                f"no answer from {self._url}: {error or type(error).__name__}"
            ) from error
        return self._content(response)

    def _content(self, response: httpx.Response) -> Any:
        try:
            content = response.json()
        except ValueError:
            content = None
        if response.status_code in AWAY:
            detail = content.get("detail") if isinstance(content, dict) else None
            raise UnreachableError(detail or f"{self._url} answers {response.status_code}")
        if response.is_success and content is not None:
            return content
        if isinstance(content, dict) and "detail" in content:
            raise RefusedByApiError(content)
        raise RefusedByApiError(
            {
                "status": response.status_code,
                "detail": f"{self._url} answers {response.status_code} without JSON; "
                "is this the URL of the API, ending in /api/v1?",
            }
        )


def _checked(text: str) -> str:
    """The URL; raises ConfigurationError for one that cannot be that of an API."""
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError) as error:
        raise ConfigurationError(f"{text!r} is no URL: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError(f"{text!r} is no URL; use https://HOST/api/v1")
    return text


def _sentence(problem: Mapping[str, Any]) -> str:
    """The detail, and what else is wrong where there is more than one mistake."""
    more = [
        f"  {item.get('pointer') or item.get('parameter') or ''}: {item.get('detail', '')}"
        for item in problem.get("errors", ())[1:]
        if isinstance(item, dict)
    ]
    return "\n".join([str(problem["detail"]), *more])
