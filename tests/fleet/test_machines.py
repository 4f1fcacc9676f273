"""The Machines client: what it asks, how often it tries, and how it tells refusals apart."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.control.machines.client import NONCE_HEADER, FlyMachines
from fleet.control.machines.errors import (
    MachineBusyError,
    MachineMissingError,
    MachineRequestError,
    MachinesAnswerError,
    MachinesAwayError,
    MachinesTokenError,
    PassingError,
    RateLimitedError,
    StateNotReachedError,
)
from fleet.control.machines.pace import Limit, Pacer
from fleet.control.machines.protocol import Machines
from fleet.policy.errors import Blame, FleetError

TOKEN = "FlyV1 not-a-real-token"
ID = "5714790ef5a1d8"
MACHINE = {
    "id": ID,
    "name": "standby-1",
    "state": "suspended",
    "region": "fra",
    "image_ref": {"registry": "registry.fly.io", "tag": "latest"},
    "instance_id": "01HEPA330HZ37A78TK080NAK1M",
    "private_ip": "fdaa:ff:ff:a7b:195:e229:8038:2",
    "created_at": "2026-11-08T01:52:30Z",
    "updated_at": "2026-11-08T01:52:31Z",
    "config": {"guest": {"cpu_kind": "performance", "cpus": 1, "memory_mb": 2048}},
    "events": [{"type": "start", "status": "started", "source": "flyd", "timestamp": 1}],
}
Script = list[tuple[int, object, dict[str, str]]]


class Api:
    """A server that answers from a script and writes down what it was asked."""

    def __init__(self) -> None:
        self.script: Script = []
        self.asked: list[tuple[str, str, dict[str, str], object]] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answers(self, *answers: tuple[int, object] | tuple[int, object, dict[str, str]]) -> None:
        self.script = [(a[0], a[1], a[2] if len(a) > 2 else {}) for a in answers]

    def _handler(api) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - self is the handler's below
        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {key.lower(): value for key, value in self.headers.items()}
                api.asked.append((self.command, self.path, headers, json.loads(body or b"null")))
                # The last answer of the script stays.
                status, value, extra = api.script.pop(0) if len(api.script) > 1 else api.script[0]
                sent = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                for key, text in extra.items():
                    self.send_header(key, text)
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - http.server's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Quiet."""

        return Handler


@pytest.fixture
def api() -> Iterator[Api]:
    found = Api()
    thread = threading.Thread(target=found.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()


class FakeTime:
    """A clock that the client's pauses move on."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.pauses: list[float] = []

    def clock(self) -> float:
        return self.now_s

    def pause(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        self.now_s += seconds
        return False


class FakeStop(threading.Event):
    """A stop signal that nobody gives, and that takes no time to wait for."""

    def __init__(self, time: FakeTime) -> None:
        super().__init__()
        self.time = time

    def wait(self, timeout: float | None = None) -> bool:
        return self.time.pause(timeout or 0.0)


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "machines.token"
    file.write_text(TOKEN + "\n", encoding="utf-8")
    file.chmod(0o600)
    return file


@contextmanager
def client_of(url: str, token_file: Path, time: FakeTime) -> Iterator[FlyMachines]:
    found = FlyMachines(
        url,
        "turtle-standby",
        token_file,
        stop=FakeStop(time),
        pacer=Pacer(time.clock, time.pause),
        clock=time.clock,
    )
    yield found
    found.close()


@pytest.fixture
def machines(api: Api, token_file: Path, time: FakeTime) -> Iterator[FlyMachines]:
    with client_of(api.url, token_file, time) as client:
        yield client


def test_a_machine_is_read_with_the_token_and_what_is_not_needed_is_ignored(
    api: Api, machines: Machines
) -> None:
    api.answers((200, MACHINE))
    found = machines.get(ID)
    assert (found.id, found.state, found.region) == (ID, "suspended", "fra")
    assert found.instance_id == "01HEPA330HZ37A78TK080NAK1M"
    method, path, headers, _ = api.asked[0]
    assert (method, path) == ("GET", f"/v1/apps/turtle-standby/machines/{ID}")
    assert headers["authorization"] == f"Bearer {TOKEN}"


def test_every_call_is_the_one_that_the_documentation_names(api: Api, machines: Machines) -> None:
    base = "/v1/apps/turtle-standby/machines"
    api.answers((200, {"previous_state": "suspended", "migrated": False, "new_host": ""}))
    assert machines.start(ID, nonce="abc") == "suspended"
    api.answers((200, {"ok": True}))
    machines.stop(ID)
    machines.suspend(ID)
    machines.wait(ID, "stopped", timeout_s=30, instance_id="01H")
    lease = {"nonce": "5c35f65c9f95", "expires_at": 1708569778, "owner": "a@b", "version": "x"}
    api.answers((201, {"status": "success", "data": lease}))
    assert machines.lease(ID, ttl_s=60, description="standby").nonce == "5c35f65c9f95"
    api.answers((200, {"status": "success", "data": {"ok": True}}))
    machines.release(ID, "5c35f65c9f95")
    api.answers((200, [MACHINE]))
    assert [m.id for m in machines.list()] == [ID]
    assert [(method, path) for method, path, *_ in api.asked] == [
        ("POST", f"{base}/{ID}/start"),
        ("POST", f"{base}/{ID}/stop"),
        ("POST", f"{base}/{ID}/suspend"),
        ("GET", f"{base}/{ID}/wait?state=stopped&timeout=30&instance_id=01H"),
        ("POST", f"{base}/{ID}/lease"),
        ("DELETE", f"{base}/{ID}/lease"),
        ("GET", base),
    ]
    assert api.asked[0][2][NONCE_HEADER] == "abc"
    assert NONCE_HEADER not in api.asked[1][2]
    assert [asked[3] for asked in api.asked[:2]] == [None, {"signal": "SIGTERM"}]
    assert api.asked[4][3] == {"ttl": 60, "description": "standby"}
    assert api.asked[5][2][NONCE_HEADER] == "5c35f65c9f95"


@pytest.mark.parametrize(
    ("status", "kind", "blame", "transient"),
    [
        (400, MachineRequestError, Blame.OURS, False),
        (401, MachinesTokenError, Blame.OURS, False),
        (403, MachinesTokenError, Blame.OURS, False),
        (404, MachineMissingError, Blame.OURS, False),
        (408, StateNotReachedError, Blame.NETWORK, True),
        (409, MachineBusyError, Blame.THEIRS, True),
        (412, MachineBusyError, Blame.THEIRS, True),
        (422, MachineRequestError, Blame.OURS, False),
    ],
)
def test_a_refusal_that_a_second_try_cannot_change_is_told_at_once(
    api: Api, machines: Machines, status: int, kind: type[FleetError], blame: Blame, transient: bool
) -> None:
    api.answers((status, {"error": "failed_precondition:\nno"}))
    with pytest.raises(kind, match=f"start of {ID}: {status}, failed_precondition: no") as refused:
        machines.start(ID)
    assert (refused.value.blame, refused.value.transient) == (blame, transient)
    assert len(api.asked) == 1


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        ((500, b"Internal Server Error"), MachinesAwayError),
        ((503, {"error": "no capacity"}), MachinesAwayError),
        ((429, {"error": "rate limit exceeded"}), RateLimitedError),
        ((200, b'{"id": "57'), MachinesAnswerError),
    ],
)
def test_trouble_that_passes_is_tried_again_until_it_has_passed_or_time_is_up(
    api: Api,
    machines: Machines,
    time: FakeTime,
    trouble: tuple[int, object],
    kind: type[FleetError],
) -> None:
    api.answers(trouble, trouble, (200, MACHINE))
    assert machines.get(ID).id == ID
    assert len(api.asked) == 3
    api.answers(trouble)
    with pytest.raises(kind) as failed:
        machines.get(ID)
    assert failed.value.transient
    assert len(api.asked) > 6
    assert time.now_s - 1000.0 < 30.0


@pytest.mark.parametrize("body", [{"id": 7}, [], None, "machine"])
def test_an_answer_that_is_not_as_documented_is_said_with_what_is_wrong(
    api: Api, machines: Machines, body: object
) -> None:
    api.answers((200, body))
    with pytest.raises(MachinesAnswerError, match="not as documented"):
        machines.get(ID)


def test_the_pause_that_the_api_asks_for_is_kept(
    api: Api, machines: Machines, time: FakeTime
) -> None:
    api.answers((429, {"error": "slow down"}, {"Retry-After": "7"}), (200, MACHINE))
    machines.get(ID)
    assert time.pauses == [7.0]


def test_an_absurd_pause_is_not_kept_for_longer_than_the_call_may_take(
    api: Api, machines: Machines, time: FakeTime
) -> None:
    api.answers((429, {"error": "slow down"}, {"Retry-After": "86400"}))
    with pytest.raises(RateLimitedError):
        machines.get(ID)
    assert time.pauses == []


def test_an_api_that_is_away_is_a_network_error_without_the_token(
    token_file: Path, time: FakeTime
) -> None:
    with client_of("http://127.0.0.1:9", token_file, time) as client:
        with pytest.raises(MachinesAwayError, match="get of") as away:
            client.get(ID)
        assert away.value.blame is Blame.NETWORK
        assert "not-a-real-token" not in repr(away.value) + str(away.value.__cause__)


def test_a_state_that_is_not_reached_in_time_is_told_also_by_an_api_that_hangs(
    token_file: Path, time: FakeTime
) -> None:
    with (
        client_of("http://127.0.0.1:9", token_file, time) as client,
        pytest.raises(StateNotReachedError),
    ):
        client.wait(ID, "started", timeout_s=5)


@pytest.mark.parametrize("timeout_s", [0.5, 61.0, -1.0])
def test_a_wait_that_the_api_would_refuse_is_refused_here(
    api: Api, machines: Machines, timeout_s: float
) -> None:
    with pytest.raises(ValueError, match="from 1 to 60"):
        machines.wait(ID, "started", timeout_s=timeout_s)
    assert api.asked == []


def test_a_new_token_in_the_file_needs_no_restart(
    api: Api, machines: Machines, token_file: Path
) -> None:
    api.answers((200, MACHINE))
    machines.get(ID)
    token_file.write_text("FlyV1 the-next-one\n", encoding="utf-8")
    machines.get(ID)
    assert [asked[2]["authorization"] for asked in api.asked] == [
        f"Bearer {TOKEN}",
        "Bearer FlyV1 the-next-one",
    ]


def test_stopping_the_program_ends_the_tries(api: Api, token_file: Path) -> None:
    stop = threading.Event()
    stop.set()
    client = FlyMachines(api.url, "turtle-standby", token_file, stop=stop)
    api.answers((500, {}))
    with pytest.raises(PassingError):
        client.get(ID)
    client.close()
    assert len(api.asked) == 1


@given(
    st.lists(st.floats(0, 3), min_size=1, max_size=40),
    st.sampled_from([Limit(1.0, 3), Limit(5.0, 10)]),
)
def test_no_window_has_more_calls_than_the_limit(gaps: list[float], limit: Limit) -> None:
    time = FakeTime()
    pacer = Pacer(time.clock, time.pause)
    called: list[float] = []
    for gap in gaps:
        time.now_s += gap
        pacer.wait_turn("start", ID, limit)
        called.append(time.now_s)
    for i, first in enumerate(called):
        for j in range(i, len(called)):
            allowed = limit.burst + (called[j] - first) * limit.per_s
            assert j - i + 1 <= allowed + 1e-6


def test_a_burst_goes_at_once_and_other_machines_have_turns_of_their_own() -> None:
    time = FakeTime()
    pacer = Pacer(time.clock, time.pause)
    turn: Callable[[str], None] = lambda who: pacer.wait_turn("start", who, Limit(1.0, 3))  # noqa: E731
    for _ in range(3):
        turn("a")
    turn("b")
    assert time.pauses == []
    turn("a")
    assert time.pauses == [pytest.approx(1.0)]
