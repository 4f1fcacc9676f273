"""Whether a call was made by one of our own pages."""

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest


def is_same_origin(request: HttpRequest) -> bool:
    """Whether the browser names this site as the page that made the call.

    `Origin` counts; where a browser sends none, `Referer`. A call with neither is refused, since
    a cookie alone does not say who wrote the call.
    """
    named = request.headers.get("Origin") or _origin_of(request.headers.get("Referer", ""))
    own = f"{request.scheme}://{request.get_host()}"
    return named in (own, *settings.CSRF_TRUSTED_ORIGINS)


def _origin_of(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme and parts.netloc else ""
