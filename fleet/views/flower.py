"""Flower behind the control plane's login: a reverse proxy of `/flower/`.

Flower must run with `--url_prefix=flower`, so that its links and paths are ours.
"""

import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from urllib.parse import quote, urlsplit

import httpx
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from fleet.control.flower_user import header_of
from fleet.policy.errors import ConfigurationError, FleetError, NetworkError
from fleet.views.origin import is_same_origin
from tasks.settings import read_secret

logger = logging.getLogger(__name__)

SAFE_METHODS = frozenset({"GET", "HEAD"})
#: Flower's other calls stop workers, resize pools and send tasks.
OPERATE_PERMISSION = "fleet.change_worker"
#: Flower answers from memory; one that takes longer than this hangs.
TIMEOUT = httpx.Timeout(20.0, connect=2.0)

#: What a browser says to Flower. Cookies, credentials and origins of ours stay here.
_FORWARDED = (
    "accept",
    "accept-encoding",
    "accept-language",
    "content-type",
    "if-modified-since",
    "if-none-match",
    "range",
    "user-agent",
    "x-requested-with",
)
#: What Flower says back. All else (hop-by-hop, cookies, its policies) stays behind.
_RETURNED = (
    "accept-ranges",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "etag",
    "last-modified",
    "vary",
)


@csrf_exempt  # Flower's own pages know no token of ours; the origin is checked instead.
@require_http_methods(["GET", "HEAD", "POST"])
async def flower(request: HttpRequest, path: str = "") -> HttpResponseBase:
    """Pass the request on to Flower and its answer back, chunk by chunk.

    Staff only; other methods than GET also need OPERATE_PERMISSION and our own origin.
    """
    await _admit(request)
    if {".", ".."} & set(path.split("/")):  # httpx would resolve them, out of Flower's own paths
        raise Http404("There is no such page of Flower.")
    try:
        client, answer = await _ask(request, path)
    except FleetError as error:
        return await _unreachable(request, str(error))
    if answer.status_code == 401:
        await client.aclose()
        return await _unreachable(request, "Flower refuses the password in flower_auth_file.")
    return await _pass_back(request, client, answer)


async def _admit(request: HttpRequest) -> None:
    user: AbstractBaseUser | AnonymousUser = await request.auser()
    if not getattr(user, "is_staff", False):
        raise PermissionDenied("Flower is for staff. Ask an administrator for staff status.")
    if request.method in SAFE_METHODS:
        return
    if not await _may_operate(user):
        raise PermissionDenied("You may look at Flower, but not change workers with it.")
    if not is_same_origin(request):
        raise PermissionDenied("This call to Flower came from another site's page.")


async def _may_operate(user: AbstractBaseUser | AnonymousUser) -> bool:
    return bool(await user.ahas_perm(OPERATE_PERMISSION))  # type: ignore[union-attr]


async def _ask(request: HttpRequest, path: str) -> tuple[httpx.AsyncClient, httpx.Response]:
    """Send the request; the caller closes the client. Raises NetworkError, ConfigurationError."""
    client = httpx.AsyncClient(verify=_tls(), timeout=TIMEOUT, trust_env=False, auth=_auth())
    said = {name: request.headers[name] for name in _FORWARDED if name in request.headers}
    user = await request.auser()
    call = client.build_request(
        str(request.method),
        _address(path, request.META.get("QUERY_STRING", "")),
        headers={**said, **header_of(user.get_username())},
        content=request.body or None,
    )
    try:
        return client, await client.send(call, stream=True)
    except httpx.HTTPError as error:
        await client.aclose()
        # The text of httpx's errors may hold the address; its kind is enough here.
        raise NetworkError(f"Flower did not answer ({type(error).__name__}).") from None


def _address(path: str, query: str) -> str:
    base = f"{settings.CONTROL.flower_url.rstrip('/')}/flower/{quote(path, safe='/@:+,~')}"
    return f"{base}?{query}" if query else base


def _auth() -> httpx.BasicAuth | None:
    """Credentials of Flower; raises ConfigurationError for a file that cannot be used."""
    if settings.CONTROL.flower_auth_file is None:
        return None
    user, separator, password = read_secret(settings.CONTROL.flower_auth_file).partition(":")
    if not separator:
        raise ConfigurationError("flower_auth_file must hold user:password.")
    return httpx.BasicAuth(user, password)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


async def _pass_back(
    request: HttpRequest, client: httpx.AsyncClient, answer: httpx.Response
) -> HttpResponseBase:
    body = _chunks(client, answer)
    # Under WSGI (runserver) the event loop ends with this view, and the connection with it.
    streams = isinstance(request, ASGIRequest) and request.method != "HEAD"
    response: HttpResponseBase = (
        StreamingHttpResponse(body, status=answer.status_code)
        if streams
        else HttpResponse(b"".join([part async for part in body]), status=answer.status_code)
    )
    for name, value in _returned(answer.headers).items():
        response.headers[name] = value
    return response


async def _chunks(client: httpx.AsyncClient, answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()
        await client.aclose()


def _returned(headers: httpx.Headers) -> Mapping[str, str]:
    found = {name: headers[name] for name in _RETURNED if name in headers}
    if "location" in headers:
        found["location"] = _own_location(headers["location"])
    return found


def _own_location(location: str) -> str:
    """A redirect within Flower stays on this site, whatever name Flower gives itself."""
    parts = urlsplit(location)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


async def _unreachable(request: HttpRequest, reason: str) -> HttpResponse:
    logger.warning("Flower cannot be shown: %s", reason)
    page = sync_to_async(render)  # the page's header looks up the user's rights
    return await page(request, "fleet/flower_away.html", {"reason": reason}, status=502)
