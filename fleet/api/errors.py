"""Why the API refuses a call, where the fleet's own errors do not say it."""

from collections.abc import Sequence

from ninja.errors import AuthorizationError

from fleet.policy.errors import FleetError


class ItemError(Exception):
    """The `index`-th call of a list was refused, so none of the list was accepted."""

    def __init__(self, index: int, error: FleetError) -> None:
        super().__init__(f"item {index}: {error}")
        self.index = index
        self.error = error


class ScopeError(AuthorizationError):
    """A known token may not do this; `scope` is what it has, `needed` what would do."""

    def __init__(self, token: str, scope: str, needed: Sequence[str]) -> None:
        super().__init__(
            message=f"the token {token!r} has the scope {scope!r}; "
            f"this call needs {' or '.join(needed)}"
        )
        self.scope = scope
        self.needed = tuple(needed)


class NotFoundError(Exception):
    """Nothing has this id or address."""


class ParameterError(Exception):
    """A query parameter is wrong; the message says what to write instead."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter
