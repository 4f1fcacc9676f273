"""A part of a page that the browser asks for again and again, and gets only when it changed."""

from hashlib import sha256
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import get_conditional_response, patch_cache_control


def fragment(
    request: HttpRequest, template: str, facts: object, context: dict[str, Any]
) -> HttpResponse:
    """The rendered part, or 304 when the browser holds it already.

    The ETag is that of `facts` (with who looks), which hold moments instead of ages: an unchanged
    fleet has the same one from look to look, though the rendered ages differ.
    """
    user = request.user.pk
    etag = f'"{sha256(repr((user, facts)).encode()).hexdigest()[:32]}"'
    response = get_conditional_response(request, etag=etag)
    if response is None:
        response = render(request, template, {**context, "facts": facts})
        response.headers["ETag"] = etag
    patch_cache_control(response, private=True, no_cache=True)
    return response
