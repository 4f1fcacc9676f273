"""The canary tasks: answers, failures, waiting, and effects of every class."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet.policy.effects import EffectClass
from fleet.policy.errors import (
    BadArgumentsError,
    NetworkError,
    RefusedError,
    StorageError,
    TheirError,
)
from tasks import canary
from tasks.context import CurrentRun, set_current_run
from tasks.devwork.locking import exclusive
from tests.tasks.devbox import Box, eventually, make_box

CUT = '{"key": "two", "event": "eff'
EFFECTS = {
    EffectClass.A: canary.effect_a,
    EffectClass.B: canary.effect_b,
    EffectClass.C: canary.effect_c,
    EffectClass.D: canary.effect_d,
}


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    with make_box(tmp_path, monkeypatch) as box:
        yield box
    set_current_run(None)


def as_run(run_id: str, token: int) -> None:
    set_current_run(CurrentRun(run_id=run_id, token=token, attempt=1, task="canary.effect", key=""))


def lines(box: Box, event: str) -> list[dict[str, Any]]:
    text = (box.state / "effects.jsonl").read_text(encoding="utf-8")
    return [line for line in map(json.loads, text.splitlines()) if line["event"] == event]


@pytest.mark.parametrize("value", [None, 7, "ä", [1, {"a": [None]}], {"x": 1.5}])
def test_echo_returns_what_it_was_given(value: Any) -> None:
    assert canary.echo.run(value) == value


def test_fail_fails_as_asked() -> None:
    with pytest.raises(TheirError, match="no such luck") as permanent:
        canary.fail.run("no such luck")
    with pytest.raises(NetworkError, match="later") as transient:
        canary.fail.run("later", transient=True)
    assert (permanent.value.transient, transient.value.transient) == (False, True)


def test_wait_waits_as_long_as_asked() -> None:
    started = time.monotonic()
    waited = canary.wait.run(0.05)["waited_s"]
    assert 0.05 <= waited + 0.001 <= time.monotonic() - started + 0.002


@pytest.mark.parametrize("seconds", [-1, 601, float("inf"), float("nan"), "5", True, None])
def test_wait_refuses_odd_times(seconds: Any) -> None:
    with pytest.raises(BadArgumentsError):
        canary.wait.run(seconds)


@pytest.mark.parametrize("key", ["", "x" * 201, None, 7])
def test_effects_refuse_odd_keys(box: Box, key: Any) -> None:
    with pytest.raises(BadArgumentsError):
        canary.effect_a.run(key)
    assert not (box.state / "effects.jsonl").exists()


@pytest.mark.parametrize("effect", list(EffectClass))
def test_an_effect_is_written_with_all_that_tells_it(box: Box, effect: EffectClass) -> None:
    as_run("r-1", 41)
    assert EFFECTS[effect].run("key") == {"key": "key", "token": 41, "written": True}
    (start,), (done,) = lines(box, "start"), lines(box, "effect")
    for line in (start, done):
        assert (line["key"], line["class"], line["run_id"], line["token"]) == (
            "key",
            effect.value,
            "r-1",
            41,
        )
        assert (line["site"], line["box"]) == ("dc1", "mini-1")
        assert line["time"].endswith("+00:00")
    assert start["monotonic_s"] <= done["monotonic_s"]


def test_each_task_declares_its_class() -> None:
    assert {effect: task.contract.effect for effect, task in EFFECTS.items() if task.contract} == {
        effect: effect for effect in EffectClass
    }


def test_outside_of_a_run_there_is_no_run_to_tell(box: Box) -> None:
    canary.effect_a.run("key")
    assert [(line["run_id"], line["token"]) for line in lines(box, "effect")] == [("", 0)]


@pytest.mark.parametrize("effect", [EffectClass.A, EffectClass.D])
def test_classes_a_and_d_write_each_time(box: Box, effect: EffectClass) -> None:
    for _ in range(2):
        assert EFFECTS[effect].run("key")["written"]
    assert len(lines(box, "effect")) == 2


def test_class_b_writes_a_key_once(box: Box) -> None:
    canary.effect_a.run('k"1')  # the same key in another class is another effect
    as_run("r-1", 1)
    assert canary.effect_b.run('k"1')["written"]
    as_run("r-1", 2)
    assert not canary.effect_b.run('k"1')["written"]
    assert canary.effect_b.run("k")["written"]
    assert [line["key"] for line in lines(box, "effect")] == ['k"1', 'k"1', "k"]
    assert len(lines(box, "start")) == 4


def test_class_c_refuses_a_token_that_is_not_newer(box: Box) -> None:
    for token in (5, 9):
        as_run("r-1", token)
        assert canary.effect_c.run("key")["written"]
    for token in (9, 8, 1):
        as_run("r-1", token)
        with pytest.raises(RefusedError, match="not newer than 9"):
            canary.effect_c.run("key")
    as_run("r-2", 1)
    assert canary.effect_c.run("other")["written"]
    assert [line["token"] for line in lines(box, "effect")] == [5, 9, 1]


def test_many_processes_write_whole_lines_and_each_key_once(box: Box) -> None:
    code = "from tasks import canary; [canary.effect_b.run(f'k{i % 20}') for i in range(40)]"
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert sorted(line["key"] for line in lines(box, "effect")) == sorted(
        f"k{number}" for number in range(20)
    )
    assert len(lines(box, "start")) == 120


@pytest.mark.parametrize("effect", list(EffectClass))
def test_an_effect_waits_for_whoever_holds_the_lock(box: Box, effect: EffectClass) -> None:
    writer = threading.Thread(target=EFFECTS[effect].run, args=("key", 0))
    with exclusive(box.state / "effects.lock"):
        writer.start()
        writer.join(0.1)
        assert writer.is_alive()
        assert not (box.state / "effects.jsonl").exists()
    writer.join(10)
    assert len(lines(box, "effect")) == 1


def test_a_killed_attempt_has_started_and_taken_no_effect(box: Box) -> None:
    code = "from tasks import canary; canary.effect_b.run('key', 60)"
    worker = subprocess.Popen([sys.executable, "-c", code])
    try:
        assert eventually((box.state / "effects.jsonl").exists, within_s=20)
        assert eventually(lambda: len(lines(box, "start")) == 1)
    finally:
        worker.kill()
        worker.wait()
    assert lines(box, "effect") == []
    assert canary.effect_b.run("key")["written"], "the dead attempt holds no lock"


def test_a_line_that_was_cut_spoils_no_other(box: Box) -> None:
    canary.effect_b.run("one")
    with (box.state / "effects.jsonl").open("a", encoding="utf-8") as sink:
        sink.write(CUT)
    assert canary.effect_b.run("two")["written"]
    assert not canary.effect_b.run("two")["written"]
    sink_lines = (box.state / "effects.jsonl").read_text(encoding="utf-8").splitlines()
    sink_lines.remove(CUT)
    assert [json.loads(line)["event"] for line in sink_lines] == [
        "start",
        "effect",
        "start",
        "effect",
        "start",
    ]


def test_a_sink_that_cannot_be_written_is_a_storage_error(box: Box) -> None:
    (box.state / "effects.jsonl").mkdir()
    with pytest.raises(StorageError) as error:
        canary.effect_a.run("key")
    assert error.value.transient


def test_waiting_effects_hold_no_lock(box: Box) -> None:
    waiting = threading.Thread(target=canary.effect_a.run, args=("slow", 0.3))
    waiting.start()
    assert eventually((box.state / "effects.jsonl").exists)
    canary.effect_a.run("quick")
    waiting.join()
    assert [line["key"] for line in lines(box, "effect")] == ["quick", "slow"]
