"""The requests that are made to a UniFi OS console."""

from dataclasses import dataclass, field

from pydantic import JsonValue

from probes.device_http import Answer, Call

PREFIX = "/proxy/network/api/s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A login: the cookie, and the newest CSRF token (the console changes it at will)."""

    token: str = field(repr=False)
    csrf: str | None = field(default=None, repr=False)

    def after(self, answer: Answer) -> "Session":
        """The session with the CSRF token that `answer` may have renewed."""
        return Session(token=self.token, csrf=newest_csrf(answer) or self.csrf)

    def headers(self) -> dict[str, str]:
        """The headers that carry the session."""
        csrf = {"X-CSRF-Token": self.csrf} if self.csrf else {}
        return {"Cookie": f"TOKEN={self.token}", **csrf}


def newest_csrf(answer: Answer) -> str | None:
    """The CSRF token for the next request, when the answer brings one."""
    return answer.header("x-updated-csrf-token") or answer.header("x-csrf-token")


def login(username: str, password: str) -> Call:
    """Log in; the answer sets the cookie TOKEN."""
    body: JsonValue = {"username": username, "password": password, "rememberMe": True}
    return Call(method="POST", path="/api/auth/login", body=body)


def logout(session: Session) -> Call:
    """End the session: a write, so it needs the newest CSRF token."""
    return Call(method="POST", path="/api/auth/logout", headers=session.headers())


def stat(session: Session, what: str, site: str) -> Call:
    """Read `stat/<what>` (health, device, sysinfo) of a console's site."""
    return Call(method="GET", path=f"{PREFIX}/{site}/stat/{what}", headers=session.headers())
