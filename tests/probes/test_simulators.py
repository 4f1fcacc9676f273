"""The simulators: honest protocols, moving numbers, faults on demand."""

import hashlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.lab.simulators.device import Request
from deploy.lab.simulators.openwrt import OpenWrtRouter
from deploy.lab.simulators.server import DeviceServer
from deploy.lab.simulators.unifi import UnifiConsole
from deploy.lab.simulators.walks import Counter, Walk
from probes.device_http import Call, DeviceHttp
from tests.probes.support import PASSWORD, Clock, options, switch_fault, write_certificate

REPOSITORY = Path(__file__).parents[2]
ZEROS = "0" * 32
CREDENTIALS = {"username": "turtle", "password": PASSWORD}


def ubus(server: DeviceServer, body: Any) -> Any:
    content = {"content": body} if isinstance(body, bytes | str) else {"json": body}
    answer = httpx.post(f"{server.url}/ubus", trust_env=False, **content)
    assert answer.status_code == 200
    return answer.json()


def rpc(*params: Any, **changes: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 7, "method": "call", "params": list(params), **changes}


def opened(router: DeviceServer) -> str:
    session: str = ubus(router, rpc(ZEROS, "session", "login", CREDENTIALS))["result"][1][
        "ubus_rpc_session"
    ]
    return session


@pytest.mark.parametrize(
    ("params", "outcome"),
    [
        (("S", "no.such.object", "x", {}), -32000),
        (("bad", "no.such.object", "x", {}), -32000),
        (("bad", "system", "board", {}), -32002),
        (("S", "system", "reboot", {}), -32002),
        (("S", "system", "nosuch", {}), -32002),
        (("S", "service", "list", {}), -32002),
        (("S", "network.interface.lan", "status", {}), -32002),
        (("S", "file", "exec", {"command": "/bin/true"}), -32002),
        (("S", "session", "login", CREDENTIALS), -32002),
        (("S", "system", "board", {"ubus_rpc_session": "S"}), -32602),
        ((None, "system", "board", {}), -32700),
        (("S", "system", "board"), -32700),
        (("S", "system", "board", []), -32700),
        ((ZEROS, "session", "login", {"username": "turtle", "password": "x"}), 6),
        ((ZEROS, "session", "login", {"username": "turtle"}), 2),
        (("S", "file", "read", {"path": "/etc/shadow"}), 6),
        (("S", "file", "read", {"path": "/proc/stat/../../etc/passwd"}), 6),
        (("S", "file", "read", {"path": "/sys/class/thermal/thermal_zone9/temp"}), 4),
        (("S", "file", "read", {}), 2),
        (("S", "file", "read", {"path": "/proc/../proc/loadavg"}), 0),
        (("S", "network.device", "status", {"name": "nosuch0"}), 2),
        (("S", "network.device", "status", {"name": 123}), 0),
        (("S", "system", "board", {}, "extra"), 0),
    ],
)
def test_the_router_refuses_as_the_real_stack_does(
    router: DeviceServer, params: tuple[Any, ...], outcome: int
) -> None:
    session = opened(router)
    answer = ubus(router, rpc(*(session if word == "S" else word for word in params)))
    assert answer["id"] == 7
    found = answer["error"]["code"] if "error" in answer else answer["result"][0]
    assert found == outcome


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"5", b"x" * 65_537])
def test_the_router_answers_what_is_no_request_with_a_parse_error(
    router: DeviceServer, body: bytes
) -> None:
    answer = ubus(router, body)
    assert (answer["id"], answer["error"]["code"]) == (None, -32700)


def test_the_router_takes_batches(router: DeviceServer) -> None:
    board = rpc(opened(router), "system", "board", {})
    good, bad = ubus(router, [board, rpc("x", "y", "z", {}, method="nosuch")])
    assert good["result"][0] == 0
    assert bad["error"]["code"] == -32601
    assert ubus(router, []) == []


def test_the_router_ignores_what_follows_a_request(router: DeviceServer) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"list"} trailing'
    assert "network.device" in ubus(router, body)["result"]


def test_a_router_session_can_be_without_end(router: DeviceServer, clock: Clock) -> None:
    login = rpc(ZEROS, "session", "login", {**CREDENTIALS, "timeout": 0})
    session = ubus(router, login)["result"][1]["ubus_rpc_session"]
    clock.now_s += 1e6
    assert ubus(router, rpc(session, "system", "board", {}))["result"][0] == 0


@pytest.fixture
def logged_in(console: DeviceServer) -> tuple[str, dict[str, str]]:
    answer = httpx.post(f"{console.url}/api/auth/login", json=CREDENTIALS, trust_env=False)
    token = answer.headers["set-cookie"].partition(";")[0]
    return answer.headers["x-csrf-token"], {"Cookie": token}


def test_the_console_wants_a_csrf_token_for_writes_only(
    console: DeviceServer, logged_in: tuple[str, dict[str, str]]
) -> None:
    csrf, cookie = logged_in
    stat = f"{console.url}/proxy/network/api/s/default/stat/health"
    write = f"{console.url}/proxy/network/api/s/default/cmd/devmgr"
    with httpx.Client(headers=cookie, trust_env=False) as http:
        assert http.get(stat).status_code == 200
        assert "CSRF" in http.post(write, json={}).text
        allowed = http.post(write, json={}, headers={"X-CSRF-Token": csrf})
        assert allowed.json()["meta"]["msg"] == "api.err.NoPermission"


def test_the_console_replaces_the_csrf_token_and_forgets_the_old_one(
    console: DeviceServer, logged_in: tuple[str, dict[str, str]]
) -> None:
    csrf, cookie = logged_in
    with httpx.Client(headers=cookie, trust_env=False) as http:
        stat = f"{console.url}/proxy/network/api/s/default/stat/sysinfo"
        fresh = [http.get(stat).headers.get("x-updated-csrf-token") for _ in range(10)][-1]
        assert fresh not in (None, csrf)
        logout = f"{console.url}/api/auth/logout"
        assert http.post(logout, headers={"X-CSRF-Token": csrf}).status_code == 403
        assert http.post(logout, headers={"X-CSRF-Token": str(fresh)}).status_code == 200
        assert http.get(stat).status_code == 401


def test_the_console_limits_logins_right_or_wrong(console: DeviceServer, clock: Clock) -> None:
    wrong = {**CREDENTIALS, "password": "no"}
    with httpx.Client(base_url=console.url, trust_env=False) as http:
        statuses = [http.post("/api/auth/login", json=wrong).status_code for _ in range(4)]
        assert statuses == [403, 403, 403, 429]
        limited = http.post("/api/auth/login", json=CREDENTIALS)
        assert limited.status_code == 429
        clock.now_s += float(limited.headers["retry-after"])
        assert http.post("/api/auth/login", json=CREDENTIALS).status_code == 200


def test_the_state_shows_the_fault_and_its_time(console: DeviceServer, clock: Clock) -> None:
    switch_fault(console, "wan_down", seconds=30)
    clock.now_s += 10
    state = httpx.get(f"{console.url}/_sim/state", trust_env=False).json()
    assert (state["mode"], state["seconds_left"]) == ("wan_down", 20.0)
    clock.now_s += 21
    state = httpx.get(f"{console.url}/_sim/state", trust_env=False).json()
    assert (state["mode"], state["seconds_left"]) == ("none", 0.0)


@pytest.mark.parametrize("body", [b"{}", b"x", b'{"mode":"fire"}', b'{"mode":"slow","seconds":0}'])
def test_an_unknown_fault_is_refused(console: DeviceServer, body: bytes) -> None:
    answer = httpx.post(f"{console.url}/_sim/errors", content=body, trust_env=False)
    assert answer.status_code == 422
    assert answer.json()["error"]


def test_only_this_machine_switches_faults(clock: Clock) -> None:
    console = UnifiConsole(options(clock))
    asked = Request(method="POST", path="/_sim/errors", body=b'{"mode":"http_500"}')
    assert console.reply(asked, is_local=False).status == 403
    assert console.faults.mode == "none"


def test_an_endless_body_is_not_read(router: DeviceServer) -> None:
    host, port = router.server_address[:2]
    with socket.create_connection((str(host), port), timeout=5) as connection:
        connection.sendall(b"POST /ubus HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


@given(st.lists(st.floats(0, 30), max_size=12))
def test_a_walk_stays_within_its_borders_and_is_the_same_for_a_seed(steps: list[float]) -> None:
    walk, again = Walk("seed", 10, 20, 3), Walk("seed", 10, 20, 3)
    now_s = 0.0
    for step in steps:
        now_s += step
        value = walk.at(now_s)
        assert 10 <= value <= 20
    assert again.at(now_s) == walk.at(now_s)
    assert Walk("other", 10, 20, 3).at(now_s) != walk.at(now_s)


@given(st.lists(st.tuples(st.floats(-5, 100), st.floats(0, 10)), max_size=12))
def test_a_counter_never_falls(steps: list[tuple[float, float]]) -> None:
    counter, last, now_s = Counter(), 0, 0.0
    for rate, step in steps:
        now_s += step
        total = counter.add(rate, now_s)
        assert total >= last
        last = total


def test_processor_ticks_never_fall(clock: Clock) -> None:
    numbers = OpenWrtRouter(options(clock))._numbers
    readings = [
        [int(word) for word in numbers.proc_stat(second * 7.0).split("\n")[0].split()[1:]]
        for second in range(60)
    ]
    for before, after in pairwise(readings):
        assert all(b <= a for b, a in zip(before, after, strict=True))


@contextmanager
def running(
    folder: Path, module: str, *arguments: str
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A simulator as a process of its own, and the line that it printed."""
    secret = folder / "password"
    secret.write_text(PASSWORD, encoding="utf-8")
    secret.chmod(0o600)
    command = [sys.executable, "-m", f"deploy.lab.simulators.{module}", "--username", "turtle"]
    with subprocess.Popen(
        [*command, "--password-file", str(secret), *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline(), process
        finally:
            process.kill()


@pytest.mark.parametrize(("module", "what"), [("unifi", "UniFi"), ("openwrt", "OpenWrt")])
def test_a_simulator_runs_as_a_process_until_it_is_told_to_stop(
    tmp_path: Path, module: str, what: str
) -> None:
    with running(tmp_path, module) as (line, process):
        assert line.startswith(f"{what} simulator ready at http://127.0.0.1:")
        state = httpx.get(f"{line.split()[-1]}/_sim/state", trust_env=False).json()
        assert state["mode"] == "none"
        process.send_signal(signal.SIGTERM)
        rest, trouble = process.communicate(timeout=10)
    assert (process.returncode, rest, trouble) == (0, "", "")


def test_a_simulator_serves_https_with_a_certificate(tmp_path: Path) -> None:
    pem = tmp_path / "device.pem"
    pin = hashlib.sha256(write_certificate(pem, days=1)).hexdigest()
    with running(tmp_path, "unifi", "--certificate-file", str(pem)) as (line, _):
        http = DeviceHttp(line.split()[-1], certificate_sha256=pin)
        assert http.send(Call(method="GET", path="/_sim/state")).status == 200
        http.close()
