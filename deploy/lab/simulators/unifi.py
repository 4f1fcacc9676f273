"""A simulated UniFi OS console: login, sessions, CSRF, rate limit of logins, `stat/*`.

Run it: `python -m deploy.lab.simulators.unifi --port 8443 --username U --password-file F`.
The account is read-only, as the real one should be.
"""

import json
import secrets
from collections import deque

from pydantic import JsonValue

from deploy.lab.simulators.device import Device, Options, Reply, Request, json_reply
from deploy.lab.simulators.server import main
from deploy.lab.simulators.unifi_numbers import UnifiNumbers

NETWORK = "/proxy/network/api/s/default/"
READS = ("GET", "HEAD")

#: A session's CSRF token is replaced after this many requests.
CSRF_REQUESTS = 10

UNAUTHORIZED: JsonValue = {"error": {"code": 401, "message": "Unauthorized"}}


class UnifiConsole(Device):
    """The console; see the module."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._numbers = UnifiNumbers(options.seed)
        self._login_times: deque[float] = deque()
        self._csrf: dict[str, tuple[str, int]] = {}

    def answer(self, request: Request) -> Reply:
        """Answer one request."""
        if request.path == "/":
            return Reply(headers=(("Content-Type", "text/html"),), body=b"<!doctype html>")
        if (request.method, request.path) == ("POST", "/api/auth/login"):
            return self._login(request)
        session_id = _cookie(request, "TOKEN")
        if not self.sessions.use(session_id):
            return json_reply(UNAUTHORIZED, 401)
        csrf, used = self._csrf[session_id]
        if request.method not in READS and request.headers.get("x-csrf-token") != csrf:
            return json_reply({"error": {"code": 403, "message": "Invalid CSRF token"}}, 403)
        return self._with_csrf(session_id, csrf, used, self._authorized(request, session_id))

    def _login(self, request: Request) -> Reply:
        wait_s = self._login_wait_s()
        if wait_s > 0:
            message: JsonValue = {"code": "AUTHENTICATION_FAILED_LIMIT_REACHED", "level": "debug"}
            return json_reply(message, 429, (("Retry-After", str(int(wait_s) + 1)),))
        body = _json_table(request.body)
        if not self.may_log_in(body.get("username"), body.get("password")):
            refused: JsonValue = {"code": "AUTHENTICATION_FAILED_INVALID_CREDENTIALS"}
            return json_reply(refused, 403)
        self.logins += 1
        session_id, csrf = self.sessions.open(), secrets.token_hex(16)
        self._csrf = {key: value for key, value in self._csrf.items() if key in self.sessions}
        self._csrf[session_id] = (csrf, 0)
        user: JsonValue = {"unique_id": "simulated", "username": self.options.username}
        cookie = f"TOKEN={session_id}; path=/; samesite=strict; secure; httponly"
        return json_reply(user, 200, (("Set-Cookie", cookie), ("X-CSRF-Token", csrf)))

    def _login_wait_s(self) -> float:
        """Seconds until another login is allowed; counts this one when it is."""
        now, times, options = self.options.clock(), self._login_times, self.options
        while times and now - times[0] >= options.login_window_s:
            times.popleft()
        if len(times) >= options.login_limit:
            return options.login_window_s - (now - times[0])
        times.append(now)
        return 0.0

    def _authorized(self, request: Request, session_id: str) -> Reply:
        if (request.method, request.path) == ("POST", "/api/auth/logout"):
            self.sessions.end(session_id)
            return json_reply({})
        if not request.path.startswith(NETWORK):
            return json_reply({"error": {"code": 404, "message": "Not Found"}}, 404)
        if request.method not in READS:
            return _network_error("api.err.NoPermission", 403)
        rows = self._rows(request.path.removeprefix(NETWORK))
        if rows is None:
            return _network_error("api.err.NotFound", 404)
        return json_reply({"meta": {"rc": "ok"}, "data": rows})

    def _rows(self, what: str) -> list[JsonValue] | None:
        if what == "stat/health":
            return self._numbers.health(self.elapsed_s, self.wan_is_up)
        if what == "stat/device":
            return self._numbers.devices(self.elapsed_s, self.wan_is_up)
        return self._numbers.sysinfo(self.elapsed_s) if what == "stat/sysinfo" else None

    def _with_csrf(self, session_id: str, csrf: str, used: int, reply: Reply) -> Reply:
        """Replace the session's token now and then, as the real console does."""
        if used + 1 < CSRF_REQUESTS:
            self._csrf[session_id] = (csrf, used + 1)
            return reply
        fresh = secrets.token_hex(16)
        self._csrf[session_id] = (fresh, 0)
        headers = (*reply.headers, ("X-Updated-CSRF-Token", fresh))
        return Reply(status=reply.status, headers=headers, body=reply.body)


def _network_error(message: str, status: int) -> Reply:
    return json_reply({"meta": {"rc": "error", "msg": message}, "data": []}, status)


def _json_table(body: bytes) -> dict[str, JsonValue]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _cookie(request: Request, name: str) -> str:
    for part in request.headers.get("cookie", "").split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value
    return ""


if __name__ == "__main__":
    main("UniFi", UnifiConsole)
