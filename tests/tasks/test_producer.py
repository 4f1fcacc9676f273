"""Programs on a LAN box: every road ends in the journal, and what cannot be kept is refused."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery import chain, chord, group

from fleet.policy.errors import (
    BadArgumentsError,
    KeyConflictError,
    RefusedError,
    StorageError,
    UnknownNameError,
)
from fleet.policy.states import RunStatus
from tasks import canary, producer
from tasks.app import app
from tasks.box import Box
from tasks.call import make_call
from tasks.handle import RunHandle
from tasks.producer import JournalAcceptor
from tasks.settings import load_settings
from tests.tasks.home_rows import only_row, rows

pytestmark = pytest.mark.usefixtures("program")

ROADS: dict[str, Callable[[], Any]] = {
    "delay": lambda: canary.echo.delay("x"),
    "apply_async": lambda: canary.echo.apply_async(("x",)),
    "apply_async with kwargs": lambda: canary.echo.apply_async(kwargs={"value": "x"}),
    "send_task": lambda: app.send_task("canary.echo", ["x"]),
    "signature.delay": lambda: canary.echo.s("x").delay(),
    "signature.apply_async": lambda: app.signature("canary.echo", ("x",)).apply_async(),
    "signature()": lambda: canary.echo.si("x").apply_async(countdown=0),
    "enqueue_many": lambda: app.enqueue_many([canary.echo.s("x")])[0],
}


@pytest.mark.parametrize("road", ROADS)
def test_every_road_ends_in_the_journal(road: str, box: Box) -> None:
    handle = ROADS[road]()
    row = only_row(box)
    assert isinstance(handle, RunHandle)
    assert handle.id == row["run_id"]
    assert (row["task"], row["status"]) == ("canary.echo", "READY")
    assert row["args"] == ["x"] or row["kwargs"] == {"value": "x"}
    assert row["enqueued_by"] == "program on mini-1@dc1"
    assert handle.status is RunStatus.READY
    assert handle.created


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: app.send_task("canary.ecco", ["x"]), UnknownNameError),
        (lambda: canary.echo.delay(), BadArgumentsError),
        (lambda: canary.echo.delay(object()), BadArgumentsError),
        (lambda: canary.echo.apply_async(("x",), queue="udm"), BadArgumentsError),
        (lambda: canary.echo.apply_async(("x",), link=canary.echo.s()), RefusedError),
        (lambda: chain(canary.echo.s("x"), canary.echo.s())(), RefusedError),
        (lambda: (canary.echo.s("x") | canary.echo.s()).delay(), RefusedError),
        (lambda: chord([canary.echo.s("x")], canary.echo.s())(), RefusedError),
        (lambda: chord([canary.echo.s("x"), canary.echo.s("y")])(canary.echo.s()), RefusedError),
        (lambda: canary.echo.apply_async(("x",), idempotencykey="k"), UnknownNameError),
        (lambda: canary.wait.delay("5"), BadArgumentsError),
        (lambda: canary.echo.apply(("x",)), RefusedError),
        (lambda: canary.echo.s("x").apply(), RefusedError),
        (lambda: canary.echo.map(["x"]).delay(), RefusedError),
        (lambda: canary.echo.starmap([("x",)]).delay(), RefusedError),
        (lambda: canary.echo.chunks([("x",)], 1).apply_async(), RefusedError),
    ],
    ids=[
        *("name", "missing", "no JSON", "queue", "link", "chain", "pipe", "chord of one", "chord"),
        *("option", "type", "apply", "signature.apply", "map", "starmap", "chunks"),
    ],
)
def test_a_call_that_cannot_be_kept_is_refused_and_nothing_is_written(
    call: Callable[[], Any], error: type[Exception], box: Box
) -> None:
    with pytest.raises(error):
        call()
    assert rows(box) == []
    assert box.entries.pending() == 0


def test_a_group_is_its_members_and_each_is_a_run_of_its_own(box: Box) -> None:
    result = group(canary.echo.s(n) for n in range(3)).apply_async()
    found = rows(box)
    assert sorted(row["args"][0] for row in found) == [0, 1, 2]
    assert {row["group_id"] for row in found} == {result.id}
    assert {member.id for member in result} == {row["run_id"] for row in found}
    assert not result.ready()


def test_a_plain_call_of_a_task_is_a_function_call(box: Box) -> None:
    assert canary.echo("x") == "x"
    assert rows(box) == []


def test_options_are_kept_with_the_run(box: Box) -> None:
    canary.echo.apply_async(
        ("x",), site="dc2", priority="high", expires=3600, countdown=60, idempotency_key="k"
    )
    row = only_row(box)
    assert (row["queue_name"], row["site"], row["priority"]) == ("dev.dc2", "dc2", 50)
    assert row["idempotency_key"] == "k"
    assert (row["expires_at"] - row["run_after"]).total_seconds() == pytest.approx(3540, abs=1)


def test_the_control_plane_gets_a_copy_of_the_run_and_of_the_event(box: Box) -> None:
    handle = canary.echo.delay("x")
    (entry,) = box.entries.after(0, 10)
    assert (entry.kind.value, entry.run_id) == ("mirror", handle.id)
    assert entry.payload["run"]["args"] == ["x"]
    event = entry.payload["event"]
    assert (event["event"], event["from_status"], event["to_status"]) == ("enqueue", "", "READY")


def test_the_same_key_with_the_same_content_is_the_first_run(box: Box) -> None:
    first = canary.echo.apply_async(("x",), idempotency_key="k")
    again = canary.echo.apply_async(("x",), idempotency_key="k")
    assert (first.id, first.created, again.created) == (again.id, True, False)
    assert len(rows(box)) == box.entries.pending() == 1


def test_an_argument_by_name_is_the_same_content_as_by_place(box: Box) -> None:
    first = canary.echo.apply_async(("x",), idempotency_key="k")
    again = canary.echo.apply_async(kwargs={"value": "x"}, idempotency_key="k")
    assert (first.id, again.created) == (again.id, False)
    assert (only_row(box)["args"], only_row(box)["kwargs"]) == (["x"], {})


def test_the_same_key_with_other_content_is_refused(box: Box) -> None:
    canary.echo.apply_async(("x",), idempotency_key="k")
    with pytest.raises(KeyConflictError, match=r"'k' was used for run .* with other content"):
        canary.echo.apply_async(("y",), idempotency_key="k")
    assert len(rows(box)) == 1


def test_many_are_accepted_in_their_order_and_a_key_within_them_counts_once(box: Box) -> None:
    signatures = [canary.echo.s(n).set(idempotency_key=f"k{n % 3}") for n in range(3)]
    handles = app.enqueue_many([*signatures, signatures[1]])
    assert [handle.id for handle in handles[:3]] == [row["run_id"] for row in rows(box)]
    assert (handles[3].id, handles[3].created) == (handles[1].id, False)


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (lambda: canary.echo.s(object()), BadArgumentsError),
        (lambda: canary.echo.s("other").set(idempotency_key="k"), KeyConflictError),
    ],
)
def test_one_bad_call_among_many_refuses_them_all(
    bad: Callable[[], Any], error: type[Exception], box: Box
) -> None:
    good = [canary.echo.s("x").set(idempotency_key="k"), *(canary.echo.s(n) for n in range(5))]
    with pytest.raises(error):
        app.enqueue_many([*good, bad()])
    assert rows(box) == []
    assert box.entries.pending() == 0


def test_a_journal_that_reports_to_nobody_refuses_new_work_in_the_end(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer, "MAX_PENDING", 2)
    canary.echo.delay(1)
    canary.echo.delay(2)
    with pytest.raises(StorageError, match="holds 2 lines that the control plane has not taken"):
        canary.echo.delay(3)
    box.entries.acknowledge(1)
    assert canary.echo.delay(3).status is RunStatus.READY


def test_a_state_folder_that_cannot_be_written_refuses_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    acceptor = JournalAcceptor(
        app, Box(load_settings(site="dc1", box="mini-1", state_dir=tmp_path / "file" / "state"))
    )
    with pytest.raises(StorageError, match=r"journal .*file/state"):
        acceptor.accept(make_call(app, "canary.echo", ["x"]))


def test_an_id_that_is_taken_is_refused_and_nothing_of_the_batch_is_written(box: Box) -> None:
    taken = canary.echo.delay("x").id
    batch = [canary.echo.s("y"), canary.echo.s("z").set(task_id=taken)]
    with pytest.raises(RefusedError, match="a run with this task_id already"):
        app.enqueue_many(batch)
    assert only_row(box)["args"] == ["x"]


def test_an_id_of_the_callers_choice_is_kept(box: Box) -> None:
    wanted = str(uuid.uuid4())
    assert canary.echo.apply_async(("x",), task_id=wanted).id == wanted
    assert json.loads(json.dumps(only_row(box)["run_id"])) == wanted
