"""What a UniFi OS console's answers mean: rows, a session, or an error with its blame."""

from fleet.policy.errors import ConfigurationError, FleetError, TheirError
from probes.device_http import Answer
from probes.unifi.calls import Session, newest_csrf
from probes.values import Table, number, parse_json, table, tables, text


class SessionEndedError(TheirError):
    """The console no longer knows the session; a new login may help."""

    transient = True


class RateLimitedError(TheirError):
    """The console wants fewer requests; `retry_after_s` is its own wish, if it told one."""

    transient = True

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


def session_from(answer: Answer, username: str) -> Session:
    """The session that a login's answer opens.

    Raises ConfigurationError for refused credentials, RateLimitedError, or TheirError.
    """
    if answer.status != 200:
        raise _login_error(answer, username)
    token = _cookie(answer, "TOKEN")
    if token is None:
        raise TheirError("the console accepted the login but set no TOKEN cookie")
    return Session(token=token, csrf=newest_csrf(answer))


def _login_error(answer: Answer, username: str) -> FleetError:
    if answer.status in (400, 401, 403):
        return ConfigurationError(
            f"the console refuses user {username!r} or its password; check username and "
            "password_file in [udm] of turtle.toml (use a local read-only account)"
        )
    if answer.status == 499:
        return ConfigurationError(
            f"the console asks user {username!r} for a second factor; use a local account "
            "without one in [udm] of turtle.toml"
        )
    if answer.status == 404:
        return TheirError("no UniFi OS login at this address; check url in [udm] of turtle.toml")
    return _status_error(answer)


def rows_from(answer: Answer) -> list[Table]:
    """The rows of a `stat` answer.

    Raises SessionEndedError, RateLimitedError, or TheirError.
    """
    meta, data = _envelope(answer)
    message = text(meta.get("msg"))
    if answer.status == 401 or message == "api.err.LoginRequired":
        raise SessionEndedError("the console ended the session")
    if answer.status != 200:
        raise _status_error(answer, message)
    if meta.get("rc") != "ok":
        raise TheirError(f"the console refuses the call: {message or 'no reason given'}")
    return data


def check_logout(answer: Answer) -> None:
    """Raise TheirError unless the session is over; a session that was gone already is."""
    if answer.status not in (200, 204, 401):
        raise _status_error(answer)


def _envelope(answer: Answer) -> tuple[Table, list[Table]]:
    try:
        body = parse_json(answer.body)
    except ValueError:
        if answer.status != 200:
            return {}, []
        raise TheirError("the console's answer is no JSON", transient=True) from None
    if answer.status == 200 and "meta" not in table(body):
        raise TheirError("the console's answer has no meta: not the network application's API")
    return table(table(body).get("meta")), tables(table(body).get("data"))


def _status_error(answer: Answer, message: str | None = None) -> FleetError:
    reason = f" ({message})" if message else ""
    if answer.status == 429:
        wait_s = number(answer.header("retry-after"))
        return RateLimitedError("the console limits the rate of requests (429)", wait_s)
    if answer.status == 403:
        return TheirError(f"the account may not read this on the console{reason}")
    if answer.status >= 500:
        return TheirError(f"the console answers {answer.status}{reason}", transient=True)
    return TheirError(f"the console answers {answer.status}{reason}; check url in [udm]")


def _cookie(answer: Answer, name: str) -> str | None:
    # Not http.cookies: before Python 3.14 it drops a cookie with an attribute it does not know.
    for header in answer.header_list("set-cookie"):
        key, _, value = header.partition(";")[0].partition("=")
        if key.strip() == name and value.strip():
            return value.strip()
    return None
