"""The Content-Security-Policy of every answer: what a browser may load and run on our pages."""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256

from django.http import HttpRequest, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

HEADER = "Content-Security-Policy"

#: Our own pages: files of this host only; no inline script, no inline style.
STRICT: Mapping[str, tuple[str, ...]] = {
    "default-src": ("'none'",),
    "script-src": ("'self'",),
    "style-src": ("'self'",),
    "img-src": ("'self'",),
    "font-src": ("'self'",),
    "connect-src": ("'self'",),
    "manifest-src": ("'self'",),
    "form-action": ("'self'",),
    "base-uri": ("'none'",),
    "frame-ancestors": ("'none'",),
}


def script_hash(text: str) -> str:
    """The source that allows one inline script: the one with exactly this text."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


#: The only inline script of Flower's pages, with its option on and off.
_FLOWER_SCRIPTS = tuple(script_hash(f"\nvar autorefresh = {value};\n") for value in (1, 0))
_STYLED = {**STRICT, "style-src": ("'self'", "'unsafe-inline'"), "img-src": ("'self'", "data:")}

#: Pages of others, by the start of their path, with what they cannot do without.
LOOSER: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    # Alpine, which unfold is built on, evaluates the expressions in its attributes.
    "/admin/": {**_STYLED, "script-src": ("'self'", "'unsafe-eval'")},
    # DataTables and Bootstrap set styles in markup.
    "/flower/": {**_STYLED, "script-src": ("'self'", *_FLOWER_SCRIPTS)},
    # Swagger UI sets styles in markup and draws its icons from data: addresses.
    "/api/v1/docs": _STYLED,
}


def policy_for(path: str) -> str:
    """The header's value for a path of this site."""
    found = next((rules for start, rules in LOOSER.items() if path.startswith(start)), STRICT)
    return "; ".join(" ".join((name, *sources)) for name, sources in found.items())


class ContentSecurityPolicyMiddleware(MiddlewareMixin):
    """Adds the policy to each answer that has none of its own."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        response.headers.setdefault(HEADER, policy_for(request.path))
        return response
