"""The doors of the API: what Django's login middleware, its 404 and 405 would do differently."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, URLResolver, path
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError
from ninja.openapi.schema import OpenAPISchema
from ninja.parser import Parser

from fleet.api.auth import anyone_known
from fleet.api.errors import NotFoundError
from fleet.api.problems import MEDIA_TYPE, WANTED, Problem, answer

View = Callable[..., HttpResponseBase]


class FleetApi(NinjaAPI):
    """NinjaAPI whose every answer is JSON, errors as problems, and which logs nobody in.

    The API asks for its own credentials, so the login page must not come first.
    """

    def set_default_exception_handlers(self) -> None:
        """One handler; `fleet.api.problems` tells the errors apart."""
        self.add_exception_handler(Exception, answer)

    @property
    def urls(self) -> tuple[list[URLResolver | URLPattern], str, str]:
        """The URL configuration, with an answer to addresses that do not exist."""
        patterns, app_name, namespace = super().urls
        for pattern in patterns:
            if isinstance(pattern, URLPattern):
                pattern.callback = own_credentials(pattern.callback)
        nowhere = path("<path:rest>", own_credentials(_no_such_address))
        return [*patterns, nowhere], app_name, namespace

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        """The schema, with errors under their own media type."""
        schema = super().get_openapi_schema(**options)
        operations = [op for path in schema["paths"].values() for op in path.values()]
        for operation in operations:
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    response["content"] = {MEDIA_TYPE: response["content"].popitem()[1]}
        return schema


class BoundedParser(Parser):
    """Also bounds bodies that came without a length (chunked), which Django does not."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        """The JSON of the body; raises RequestDataTooBig above the limit."""
        limit_bytes = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if limit_bytes is not None and len(request.body) > limit_bytes:
            raise RequestDataTooBig
        return super().parse_body(request)


def own_credentials(view: View) -> View:
    """Exempt `view` from the login page, and word its 404 and 405 as problems."""

    @wraps(view)
    def call(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            response = view(request, *args, **kwargs)
        except (Http404, NotFoundError):
            return answer(request, NotFoundError(f"{request.path} is no address of this API"))
        if response.status_code == 405:
            return _wrong_method(request, response)
        return response

    call.login_required = False  # type: ignore[attr-defined]
    call.csrf_exempt = True  # type: ignore[attr-defined]
    return call


def docs_door(view: View) -> View:
    """Documentation for staff and token holders; a browser is sent to the login page."""

    @wraps(view)
    def call(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            known = any(authenticate(request) for authenticate in anyone_known)
        except HttpError as error:
            return answer(request, error)
        if known:
            return view(request, *args, **kwargs)
        if "text/html" in request.headers.get("Accept", ""):
            return redirect_to_login(request.get_full_path())
        return answer(request, AuthenticationError(message=f"{WANTED}; or log in"))

    return call


def _no_such_address(request: HttpRequest, rest: str) -> HttpResponse:
    raise NotFoundError(rest)


def _wrong_method(request: HttpRequest, response: HttpResponseBase) -> HttpResponse:
    allowed = response.headers.get("Allow", "")
    return Problem(
        status=405,
        kind="wrong-method",
        title="Method not allowed",
        detail=f"{request.method} is not possible here; use {allowed}",
        headers={"Allow": allowed},
    ).response()
