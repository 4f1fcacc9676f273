"""The client against a simulated console that speaks the protocol over HTTP."""

from collections.abc import Iterator

import pytest

from deploy.lab.simulators.server import DeviceServer
from deploy.lab.simulators.unifi import CSRF_REQUESTS
from fleet.policy.errors import Blame, ConfigurationError, FleetError, NetworkError, TheirError
from probes.device_http import Answer, DeviceHttp
from probes.unifi.answers import RateLimitedError, SessionEndedError, rows_from, session_from
from probes.unifi.client import UnifiClient
from tests.probes.support import PASSWORD, Clock, closed_port, switch_fault


@pytest.fixture
def client(console: DeviceServer, clock: Clock) -> Iterator[UnifiClient]:
    unifi = UnifiClient(
        DeviceHttp(console.url, timeout_s=0.5), "turtle", lambda: PASSWORD, clock=clock
    )
    yield unifi
    unifi.close()


def test_it_reads_the_gateway(client: UnifiClient) -> None:
    health = client.gateway_health()
    assert health.wan_up is True
    assert health.model == "UDMPRO-SIMULATED"
    assert health.cpu_percent is not None
    assert health.temperatures_c.keys() == {"CPU", "Local", "PHY"}
    assert health.subsystems["wan"] == "ok"


def test_the_numbers_move_with_time(client: UnifiClient, clock: Clock) -> None:
    before = client.gateway_health()
    clock.now_s += 20
    after = client.gateway_health()
    assert (before.uptime_s or 0) + 20 == after.uptime_s
    assert before.cpu_percent != after.cpu_percent


def test_one_login_serves_many_reads(client: UnifiClient, console: DeviceServer) -> None:
    for _ in range(CSRF_REQUESTS):
        client.gateway_health()
    assert console.device.logins == 1


def test_an_expired_session_is_opened_again(
    client: UnifiClient, console: DeviceServer, clock: Clock
) -> None:
    client.system_info()
    clock.now_s += 31
    assert client.system_info().hostname == "simulated-console"
    assert console.device.logins == 2


def test_a_logout_at_the_console_is_survived(client: UnifiClient, console: DeviceServer) -> None:
    client.system_info()
    switch_fault(console, "logout")
    assert client.system_info().hostname == "simulated-console"
    assert console.device.logins == 2


def test_the_csrf_token_is_followed_when_it_changes(
    client: UnifiClient, console: DeviceServer
) -> None:
    for _ in range(CSRF_REQUESTS + 1):
        client.system_info()
    client.logout()
    assert len(console.device.sessions) == 0


def test_a_wrong_password_is_our_configuration(console: DeviceServer) -> None:
    client = UnifiClient(DeviceHttp(console.url), "turtle", lambda: "guess-4711")
    with pytest.raises(ConfigurationError, match=r"password_file in \[udm\]") as caught:
        client.gateway_health()
    client.close()
    assert "guess-4711" not in str(caught.value)
    assert not caught.value.transient


def test_refused_logins_are_our_configuration_too(
    client: UnifiClient, console: DeviceServer
) -> None:
    switch_fault(console, "refuse_login")
    with pytest.raises(ConfigurationError):
        client.gateway_health()


def test_a_login_storm_is_stopped_by_the_client_itself(
    client: UnifiClient, console: DeviceServer, clock: Clock
) -> None:
    for _ in range(3):
        client.system_info()
        switch_fault(console, "logout")
    with pytest.raises(RateLimitedError, match="429") as caught:
        client.system_info()
    assert caught.value.transient
    asked = console.device.requests
    with pytest.raises(RateLimitedError, match="no login for another 61 s"):
        client.system_info()
    assert console.device.requests == asked
    clock.now_s += 62
    assert client.system_info().hostname == "simulated-console"


def test_pauses_grow_when_the_console_names_none(clock: Clock) -> None:
    console = _AlwaysLimiting()
    client = UnifiClient(console, "turtle", lambda: PASSWORD, clock=clock)
    for pause_s in (15, 30, 60, 120, 240, 300, 300):
        with pytest.raises(RateLimitedError, match="429"):
            client.system_info()
        clock.now_s += pause_s - 1
        with pytest.raises(RateLimitedError, match="no login for another 1 s"):
            client.system_info()
        clock.now_s += 1
    client.close()
    assert console.asked == 7


class _AlwaysLimiting(DeviceHttp):
    def __init__(self) -> None:
        super().__init__("http://192.0.2.1")
        self.asked = 0

    def send(self, call: object) -> Answer:
        self.asked += 1
        return Answer(status=429)


@pytest.mark.parametrize(
    ("mode", "blame", "message"),
    [
        ("http_500", Blame.THEIRS, "500"),
        ("bad_json", Blame.THEIRS, "no JSON"),
        ("slow", Blame.NETWORK, r"did not answer within 0\.5 s"),
    ],
)
def test_a_fault_is_transient_and_has_its_blame(
    client: UnifiClient, console: DeviceServer, mode: str, blame: Blame, message: str
) -> None:
    client.system_info()
    switch_fault(console, mode)
    with pytest.raises(FleetError, match=message) as caught:
        client.gateway_health()
    assert (caught.value.blame, caught.value.transient) == (blame, True)
    switch_fault(console, "none")
    assert client.gateway_health().wan_up is True


def test_a_wan_that_is_down_is_seen(client: UnifiClient, console: DeviceServer) -> None:
    switch_fault(console, "wan_down")
    health = client.gateway_health()
    assert health.wan_up is False
    assert health.wan_latency_ms is None
    assert health.subsystems["www"] == "error"
    assert health.cpu_percent is not None


def test_nobody_there_is_the_networks_fault() -> None:
    client = UnifiClient(DeviceHttp(f"http://127.0.0.1:{closed_port()}"), "turtle", lambda: "x")
    with pytest.raises(NetworkError, match="no answer from"):
        client.gateway_health()
    client.close()


ROWS_ANSWERS = [
    (200, b'{"meta":{"rc":"error","msg":"api.err.LoginRequired"}}', SessionEndedError, True),
    (401, b'{"error":{"code":401}}', SessionEndedError, True),
    (401, b"", SessionEndedError, True),
    (403, b'{"meta":{"rc":"error","msg":"api.err.NoPermission"}}', TheirError, False),
    (404, b"<html>", TheirError, False),
    (429, b"", RateLimitedError, True),
    (502, b"<html>Bad Gateway", TheirError, True),
    (200, b"<html>", TheirError, True),
    (200, b"[]", TheirError, False),
    (200, b'{"meta":{"rc":"error","msg":"api.err.Invalid"},"data":[]}', TheirError, False),
]


@pytest.mark.parametrize(("status", "body", "kind", "transient"), ROWS_ANSWERS)
def test_what_a_stat_answer_means(
    status: int, body: bytes, kind: type[FleetError], transient: bool
) -> None:
    with pytest.raises(kind) as caught:
        rows_from(Answer(status=status, body=body))
    assert caught.value.transient is transient


@pytest.mark.parametrize(
    ("status", "kind", "transient"),
    [
        (401, ConfigurationError, False),
        (403, ConfigurationError, False),
        (499, ConfigurationError, False),
        (404, TheirError, False),
        (429, RateLimitedError, True),
        (503, TheirError, True),
        (200, TheirError, False),
    ],
)
def test_what_a_login_answer_without_a_cookie_means(
    status: int, kind: type[FleetError], transient: bool
) -> None:
    with pytest.raises(kind) as caught:
        session_from(Answer(status=status), "turtle")
    assert caught.value.transient is transient


def test_a_cookie_with_unknown_attributes_is_found() -> None:
    headers = (
        ("set-cookie", "other=1"),
        ("set-cookie", "TOKEN=abc.def; path=/; samesite=none; secure; partitioned"),
        ("x-csrf-token", "old"),
        ("x-updated-csrf-token", "new"),
    )
    session = session_from(Answer(status=200, headers=headers), "turtle")
    assert (session.token, session.csrf) == ("abc.def", "new")
    assert "abc" not in repr(session)
