"""What leaves the site of a result, and what stays."""

import json
import stat
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from fleet.policy.contracts import ResultPlace
from fleet.policy.errors import FleetError, StorageError
from tasks.results import SUMMARY_CHARS, Summarised, keep, write_durably
from tasks.settings import FleetSettings, load_settings

REPORTED, LOCAL = ResultPlace.REPORTED, ResultPlace.LOCAL
LIMIT_BYTES = 300


@pytest.fixture
def box(tmp_path: Path) -> FleetSettings:
    return load_settings(
        site="dc1", box="mini-1", state_dir=tmp_path, limits={"max_result_bytes": LIMIT_BYTES}
    )


def kept_file(box: FleetSettings, meta: dict[str, Any] | None) -> bytes:
    assert meta is not None
    return (box.state_dir / str(meta["place"])).read_bytes()


@pytest.mark.parametrize("value", [None, 0, "x", [1, {"a": None}], {"b": [True], "a": "ü"}])
def test_a_small_result_is_reported_whole_and_leaves_no_file(
    box: FleetSettings, value: Any
) -> None:
    kept = keep(box, "run", REPORTED, value)
    assert (kept.value, kept.meta) == (value, None)
    assert list(box.state_dir.iterdir()) == []


def test_the_limit_is_in_bytes_of_json(box: FleetSettings) -> None:
    assert keep(box, "run", REPORTED, "x" * (LIMIT_BYTES - 2)).meta is None
    assert keep(box, "run", REPORTED, "x" * (LIMIT_BYTES - 1)).meta is not None
    assert keep(box, "run", REPORTED, "ü" * (LIMIT_BYTES // 2)).meta is not None


def test_a_large_result_stays_with_digest_size_summary_and_place(box: FleetSettings) -> None:
    value = {"text": "x" * 1000}
    kept = keep(box, "run", REPORTED, value)
    content = kept_file(box, kept.meta)
    assert kept.value is None
    assert json.loads(content) == value
    assert kept.meta == {
        "digest": sha256(content).hexdigest(),
        "size_bytes": len(content),
        "summary": content.decode()[:SUMMARY_CHARS],
        "site": "dc1",
        "box": "mini-1",
        "place": "results/run.json",
    }


@pytest.mark.parametrize(
    ("value", "summary"),
    [
        ("secret", "str"),
        (["secret", "secret"], "list of 2"),
        ({"secret": "secret"}, "object with 1 keys"),
        (12345, "int"),
        (None, "NoneType"),
    ],
)
def test_of_a_local_result_only_its_shape_leaves_the_site(
    box: FleetSettings, value: Any, summary: str
) -> None:
    kept = keep(box, "run", LOCAL, value)
    assert kept.value is None
    assert kept.meta is not None
    assert kept.meta["summary"] == summary
    assert "secret" not in json.dumps(kept.meta)
    assert json.loads(kept_file(box, kept.meta)) == value


def test_a_task_may_say_itself_what_is_shown_of_a_local_result(box: FleetSettings) -> None:
    kept = keep(box, "run", LOCAL, Summarised({"secret": 1}, "one thing " + "x" * 500))
    assert kept.meta is not None
    assert kept.meta["summary"].startswith("one thing")
    assert len(kept.meta["summary"]) == SUMMARY_CHARS
    assert keep(box, "other", REPORTED, Summarised([1], "short")).value == [1]


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), b"x", {"a": object()}])
def test_a_result_that_is_no_json_is_our_own_permanent_error(
    box: FleetSettings, value: Any
) -> None:
    with pytest.raises(FleetError, match="returned something that is not JSON") as failed:
        keep(box, "run", REPORTED, value)
    assert (failed.value.blame, failed.value.transient) == ("ours", False)


def test_what_is_reported_is_what_json_makes_of_it(box: FleetSettings) -> None:
    assert keep(box, "run", REPORTED, {"t": (1, 2)}).value == {"t": [1, 2]}


def test_a_kept_result_can_be_read_by_its_owner_only(box: FleetSettings) -> None:
    keep(box, "run", LOCAL, "secret")
    folder = box.state_dir / "results"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "run.json").stat().st_mode) == 0o600


def test_a_result_that_cannot_be_kept_is_told_as_such(box: FleetSettings) -> None:
    (box.state_dir / "results").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot keep the result in .*results/run\.json") as no:
        keep(box, "run", LOCAL, "x")
    assert no.value.transient


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").write_text("old")
    with pytest.raises(OSError, match="irectory"):
        write_durably(target, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert (target / "old").read_text() == "old"


def test_a_second_write_replaces_the_first(tmp_path: Path) -> None:
    write_durably(tmp_path / "a" / "file", b"first and longer")
    write_durably(tmp_path / "a" / "file", b"second")
    assert (tmp_path / "a" / "file").read_bytes() == b"second"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["file"]
