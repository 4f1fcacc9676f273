"""A session with a UniFi OS console, kept as long as the console keeps it."""

import time
from collections.abc import Callable
from threading import Lock

from probes.device_http import DeviceHttp
from probes.unifi import calls
from probes.unifi.answers import (
    RateLimitedError,
    SessionEndedError,
    check_logout,
    rows_from,
    session_from,
)
from probes.unifi.calls import Session
from probes.unifi.health import GatewayHealth, SystemInfo, gateway_health, system_info
from probes.values import Table

FIRST_PAUSE_S = 15.0
LONGEST_PAUSE_S = 300.0


class UnifiClient:
    """Reads a console. One session is kept and reused: consoles limit the rate of logins.

    `password` is called at each login, so that a changed secret is found. Errors: those of
    `DeviceHttp.send` and of `probes.unifi.answers`.
    """

    def __init__(
        self,
        http: DeviceHttp,
        username: str,
        password: Callable[[], str],
        *,
        site: str = "default",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._username = username
        self._password = password
        self._site = site
        self._clock = clock
        self._lock = Lock()
        self._session: Session | None = None
        self._no_login_before = 0.0
        self._pause_s = FIRST_PAUSE_S

    def gateway_health(self) -> GatewayHealth:
        """The gateway's state now."""
        with self._lock:
            return gateway_health(self._rows("health"), self._rows("device"), self._rows("sysinfo"))

    def system_info(self) -> SystemInfo:
        """What the console says about itself."""
        with self._lock:
            return system_info(self._rows("sysinfo"))

    def logout(self) -> None:
        """End the session on the console; raises TheirError when the console refuses."""
        with self._lock:
            session, self._session = self._session, None
            if session is not None:
                check_logout(self._http.send(calls.logout(session)))

    def close(self) -> None:
        """Close the connections; the session stays until the console forgets it."""
        self._http.close()

    def _rows(self, what: str) -> list[Table]:
        try:
            return self._ask(what, self._session or self._login())
        except SessionEndedError:
            self._session = None
            return self._ask(what, self._login())

    def _ask(self, what: str, session: Session) -> list[Table]:
        answer = self._http.send(calls.stat(session, what, self._site))
        rows = rows_from(answer)
        self._session = session.after(answer)
        return rows

    def _login(self) -> Session:
        left_s = self._no_login_before - self._clock()
        if left_s > 0:
            raise RateLimitedError(f"no login for another {left_s:.0f} s: the console limits them")
        try:
            answer = self._http.send(calls.login(self._username, self._password()))
            session = session_from(answer, self._username)
        except RateLimitedError as error:
            self._pause_logins(error.retry_after_s)
            raise
        self._session, self._pause_s = session, FIRST_PAUSE_S
        return session

    def _pause_logins(self, wish_s: float | None) -> None:
        pause_s = self._pause_s if wish_s is None else wish_s
        self._no_login_before = self._clock() + max(0.0, min(pause_s, LONGEST_PAUSE_S))
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
