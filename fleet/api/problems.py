"""Every error as `application/problem+json` (RFC 9457): one table from exceptions to answers."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import singledispatch
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from ninja.errors import AuthenticationError, HttpError, ValidationError

from fleet.api.errors import ItemError, NotFoundError, ParameterError, ScopeError
from fleet.api.mistakes import mistake
from fleet.control.planned import NotNowError
from fleet.ledger.ingest import ForeignSiteError, SequenceGapError
from fleet.models import TaskRun
from fleet.policy.errors import (
    FleetError,
    KeyConflictError,
    RefusedError,
    StorageError,
    TooLargeError,
    UnknownNameError,
)
from fleet.policy.states import IllegalTransitionError

MEDIA_TYPE = "application/problem+json"
#: When to come back after a 503: a locked or full ledger is looked at again by then.
RETRY_AFTER_S = 2
#: How databases word their refusals, and how we do; anything else stays in the log.
_LEDGER_TROUBLE = {
    "locked": "the ledger is busy; the database stayed locked",
    "full": "the ledger's disk is full",
    "readonly": "the ledger is read-only",
    "no space left": "the ledger's disk is full",
    "disk i/o": "the ledger's disk fails",
}

#: What a caller without credentials is told.
WANTED = "send the header Authorization: Bearer <token>; an administrator makes tokens"
#: The words of the library for a call without the header.
_NO_HEADER = str(AuthenticationError())

log = logging.getLogger("fleet.api")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One answer. `kind` ends the `type` URI; `extra` are the members beside the standard ones."""

    status: int
    kind: str
    title: str
    detail: str
    extra: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The JSON object of RFC 9457."""
        standard = {
            "type": f"urn:turtle-fleet:problem:{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        return {**standard, **self.extra}

    def response(self) -> HttpResponse:
        """The HTTP answer."""
        content = json.dumps(self.body())
        return HttpResponse(
            content, status=self.status, content_type=MEDIA_TYPE, headers=dict(self.headers)
        )


def answer(request: HttpRequest, error: Any) -> HttpResponse:
    """The answer to a call that raised `error`; our own failures are logged with their trace."""
    problem = problem_of(error)
    if problem.status >= 500:
        log.error("%s %s: %s", request.method, request.path, problem.title, exc_info=error)
    return problem.response()


@singledispatch
def problem_of(error: Exception) -> Problem:
    """What a caller is told; an unexpected error tells nothing of the inside."""
    return Problem(
        status=500,
        kind="internal",
        title="Internal error",
        detail="The control plane failed on this call. Its log has the reason.",
    )


@problem_of.register
def _refused(error: RefusedError) -> Problem:
    return Problem(status=422, kind="refused", title="Call refused", detail=str(error))


@problem_of.register
def _fleet(error: FleetError) -> Problem:
    if error.transient:
        return _later(str(error))
    return problem_of.dispatch(Exception)(error)


@problem_of.register
def _unknown(error: UnknownNameError) -> Problem:
    extra = {"kind": error.kind, "name": error.name, "near": list(error.near)}
    return Problem(
        status=422, kind="unknown-name", title="Unknown name", detail=str(error), extra=extra
    )


@problem_of.register
def _too_large(error: TooLargeError) -> Problem:
    return _over_limit(str(error), error.limit_bytes)


@problem_of.register
def _body_too_large(error: RequestDataTooBig) -> Problem:
    limit_bytes = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
    return _over_limit(f"the request's body is larger than {limit_bytes} bytes", limit_bytes)


def _over_limit(detail: str, limit_bytes: int) -> Problem:
    return Problem(
        status=413,
        kind="too-large",
        title="Too large",
        detail=detail,
        extra={"limit_bytes": limit_bytes},
    )


@problem_of.register
def _key_conflict(error: KeyConflictError) -> Problem:
    return Problem(
        status=409, kind="key-conflict", title="Idempotency key in use", detail=str(error)
    )


@problem_of.register
def _illegal(error: IllegalTransitionError) -> Problem:
    extra = {"run_status": str(error.status)}
    return Problem(
        status=409,
        kind="illegal-transition",
        title="Not possible now",
        detail=str(error),
        extra=extra,
    )


@problem_of.register
def _gap(error: SequenceGapError) -> Problem:
    extra = {"expected": error.expected}
    return Problem(
        status=409,
        kind="sequence-gap",
        title="Entries are missing",
        detail=str(error),
        extra=extra,
    )


@problem_of.register
def _foreign(error: ForeignSiteError) -> Problem:
    return Problem(status=403, kind="foreign-site", title="Not your site", detail=str(error))


@problem_of.register
def _not_now(error: NotNowError) -> Problem:
    return Problem(status=409, kind="not-now", title="Not possible now", detail=str(error))


@problem_of.register(Http404)
@problem_of.register(NotFoundError)
@problem_of.register(TaskRun.DoesNotExist)
def _missing(error: Exception) -> Problem:
    detail = str(error) if isinstance(error, NotFoundError) else "there is nothing here"
    return Problem(status=404, kind="not-found", title="Not found", detail=detail)


@problem_of.register(OperationalError)
@problem_of.register(InterfaceError)
def _database(error: Exception) -> Problem:
    text = str(error).lower()
    known = (ours for theirs, ours in _LEDGER_TROUBLE.items() if theirs in text)
    return _later(next(known, "the ledger cannot be reached"))


@problem_of.register
def _storage(error: StorageError) -> Problem:
    return _later(str(error))


def _later(detail: str) -> Problem:
    return Problem(
        status=503,
        kind="unavailable",
        title="Try again later",
        detail=f"{detail}. Nothing was written.",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


@problem_of.register
def _unstorable(error: DataError) -> Problem:
    return Problem(
        status=422,
        kind="unstorable",
        title="Value cannot be stored",
        detail="a value does not fit the ledger, such as text with a NUL character",
    )


@problem_of.register
def _item(error: ItemError) -> Problem:
    inner = problem_of(error.error)
    return replace(inner, detail=str(error), extra={**inner.extra, "index": error.index})


@problem_of.register
def _parameter(error: ParameterError) -> Problem:
    return _invalid([{"detail": str(error), "parameter": error.parameter}])


@problem_of.register
def _validation(error: ValidationError) -> Problem:
    return _invalid([mistake(item) for item in error.errors])


def _invalid(errors: list[dict[str, Any]]) -> Problem:
    first = errors[0] if errors else {}
    where = first.get("pointer") or first.get("parameter") or "request"
    detail = f"{where}: {first.get('detail', 'not valid')}"
    extra = {"errors": errors, **({"index": first["index"]} if "index" in first else {})}
    return Problem(
        status=422, kind="invalid", title="Request is not valid", detail=detail, extra=extra
    )


@problem_of.register
def _http(error: HttpError) -> Problem:
    cause = error.__cause__
    if isinstance(cause, RequestDataTooBig):
        return problem_of(cause)
    if error.status_code == 400:
        return Problem(status=400, kind="malformed", title="Not JSON", detail=_why(cause))
    if error.status_code == 401:
        return unauthorized(WANTED if str(error) == _NO_HEADER else str(error))
    return Problem(
        status=error.status_code, kind="refused", title="Call refused", detail=str(error)
    )


@problem_of.register
def _scope(error: ScopeError) -> Problem:
    return Problem(
        status=403,
        kind="wrong-scope",
        title=f"Scope {' or '.join(error.needed)} is needed",
        detail=str(error),
        extra={"scope": error.scope, "needed": list(error.needed)},
    )


def _why(cause: BaseException | None) -> str:
    if isinstance(cause, RecursionError):
        return "the body is nested too deeply"
    return f"the body is not JSON in UTF-8: {cause}" if cause else "the body is not JSON"


def unauthorized(detail: str) -> Problem:
    """Who is calling is not known."""
    return Problem(
        status=401,
        kind="unauthorized",
        title="No valid credentials",
        detail=detail,
        headers={"WWW-Authenticate": "Bearer"},
    )
