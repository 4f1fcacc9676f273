"""Who calls: a bearer token with a scope, or for reading a signed-in member of staff."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from ninja.errors import AuthenticationError, AuthorizationError
from ninja.security import APIKeyCookie, HttpBearer
from ninja.security.session import SessionAuth

from fleet.api.credentials import digest_of
from fleet.api.errors import ScopeError
from fleet.models import ApiToken, Scope, Site

#: `last_used_at` is written at most this often, so that reading does not become writing.
USE_NOTED_EVERY = timedelta(minutes=1)

log = logging.getLogger("fleet.api")


@dataclass(frozen=True, slots=True)
class Caller:
    """`who` goes into the ledger as it is; `site` is the one that an agent speaks for."""

    who: str
    site: Site | None = None


class ApiRequest(HttpRequest):
    """A request that has passed one of the authenticators below."""

    auth: Caller


class TokenAuth(HttpBearer):
    """A bearer token that has one of the `allowed` scopes."""

    def __init__(self, *allowed: Scope) -> None:
        super().__init__()
        self.allowed = allowed

    def authenticate(self, request: HttpRequest, token: str) -> Caller:
        """The caller; raises AuthenticationError (401) or ScopeError (403)."""
        now = timezone.now()
        found = valid_token(token, now)
        if found is None:
            raise AuthenticationError(message="the token is unknown, expired or revoked")
        if found.scope not in self.allowed:
            raise ScopeError(found.name, found.scope, [scope.value for scope in self.allowed])
        _note_use(found, now)
        return Caller(f"token {found.name}", found.site)


class StaffSession(APIKeyCookie):
    """The browser session of a member of staff."""

    param_name = SessionAuth.param_name

    def authenticate(self, request: HttpRequest, key: str | None) -> Caller | None:
        """The caller, or None for a visitor who is not signed in."""
        user = request.user
        if not user.is_authenticated:
            return None
        if not user.is_staff:
            raise AuthorizationError(message="only members of staff may read the API")
        return Caller(user.get_username())


def valid_token(token: str, now: datetime) -> ApiToken | None:
    """The token's row, if it is known, not revoked and not expired.

    The lookup is by digest: how long it takes tells nothing about the token itself.
    """
    return (
        ApiToken.objects.filter(digest=digest_of(token), revoked_at=None)
        .filter(Q(expires_at=None) | Q(expires_at__gt=now))
        .select_related("site")
        .first()
    )


def _note_use(token: ApiToken, now: datetime) -> None:
    """A ledger that cannot be written must not keep anybody from reading it."""
    if token.last_used_at is not None and token.last_used_at > now - USE_NOTED_EVERY:
        return
    try:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    except DatabaseError as error:
        log.warning("the use of token %s was not noted: %s", token.name, error)


Authenticators = Sequence[Callable[[HttpRequest], Any]]

reader: Authenticators = [TokenAuth(Scope.READ, Scope.ENQUEUE, Scope.OPERATE), StaffSession()]
writer: Authenticators = [TokenAuth(Scope.ENQUEUE, Scope.OPERATE)]
operator: Authenticators = [TokenAuth(Scope.OPERATE)]
agent: Authenticators = [TokenAuth(Scope.AGENT)]
anyone_known: Authenticators = [TokenAuth(*Scope), StaffSession()]
