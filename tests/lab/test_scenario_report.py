"""Figures of a case, the report over all cases, and the page that is made of it."""

from pathlib import Path
from typing import Any

import pytest

from deploy.lab.history.records import read_history
from deploy.lab.scenario.effect_files import EffectFiles
from deploy.lab.scenario.measure import measured, unexpected
from deploy.lab.scenario.paper import markdown
from deploy.lab.scenario.report import Report
from deploy.lab.scenario.result import Result, Status
from deploy.lab.scenario.script import Expected, Op
from deploy.lab.scenario.timeline import Moment, Timeline
from deploy.lab.scenario.witness import Witness
from tests.lab.history_lines import accepted, ack, effect, start, write


@pytest.fixture
def timeline(tmp_path: Path) -> Timeline:
    """Two faults at 10 s, mended from 70 s on."""
    found = Timeline(
        moments_file=Witness(tmp_path / "timeline.jsonl"),
        alone_file=Witness(tmp_path / "alone.jsonl"),
        control="dc3",
        lans=("dc1", "dc2"),
    )
    found.moments += [
        Moment("break", "first", 9.0, 9.5),
        Moment("break", "second", 9.5, 10.0),
        Moment("wait", "", 10.0, 70.0),
        Moment("mend", "first", 70.0, 71.0),
    ]
    return found


def lost_master(folder: Path) -> Path:
    """dc1 led; dc2 leads after 7 s, new work starts after 8 s, the standby after 40 s."""
    at_standby: dict[str, Any] = {"site": "dc3", "box": "standby-1", "monotonic_s": 50.0}
    at_dc2: dict[str, Any] = {"site": "dc2", "box": "mini-2"}
    return write(
        folder,
        accepted=[
            accepted("old", by="control", sent_monotonic_s=0.9),
            accepted("new", by="control", sent_monotonic_s=11.0, monotonic_s=11.2),
            accepted("far", by="control", sent_monotonic_s=40.0, monotonic_s=40.1),
        ],
        effects=[
            start("old", monotonic_s=10.5, **at_dc2),
            effect("old", monotonic_s=10.6, **at_dc2),
            start("new", monotonic_s=18.0, **at_dc2),
            effect("new", monotonic_s=18.1, **at_dc2),
            start("far", **at_standby),
            effect("far", **at_standby),
        ],
        acks=[ack("dc1", 9.0), ack("dc2", 16.9, replicas=0), ack("dc2", 17.0), ack("dc2", 69.0)],
    )


def test_figures_count_from_the_fault(tmp_path: Path, timeline: Timeline) -> None:
    found = measured(read_history(lost_master(tmp_path)), timeline, "dc3")
    assert (found["master_before"], found["master_after"]) == ("dc1", "dc2")
    assert found["new_master_after_s"] == 7.0
    assert found["new_task_started_after_s"] == 8.0
    assert found["standby_started_after_s"] == 40.0
    assert found["longest_gap_between_starts_s"] == 32.0
    assert found["accept_s"]["max"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        (Expected(master="dc2", standby=True), []),
        (Expected(master="dc1"), ["dc2 led before the mending, not dc1"]),
        (Expected(standby=False), ["the standby started tasks although"]),
    ],
)
def test_what_the_table_says_otherwise_is_told(
    tmp_path: Path, timeline: Timeline, expected: Expected, words: list[str]
) -> None:
    found = unexpected(expected, read_history(lost_master(tmp_path)), timeline, "dc3")
    assert [text.startswith(word) for text, word in zip(found, words, strict=True)] == [
        True for _ in words
    ]


def test_a_standby_that_should_have_worked_is_missed(tmp_path: Path, timeline: Timeline) -> None:
    folder = write(tmp_path, accepted=[accepted("k")], effects=[start("k"), effect("k")])
    found = unexpected(Expected(standby=True), read_history(folder), timeline, "dc3")
    assert found == ["the standby started no task before the mending"]


def test_a_standby_that_still_works_for_an_earlier_case_is_not_needless(
    tmp_path: Path, timeline: Timeline
) -> None:
    folder = lost_master(tmp_path)
    lease = {"monotonic_s": 5.0, "site": "dc3", "generation": 1, "ttl_s": 30.0}
    write(folder, lease=[lease])
    assert unexpected(Expected(standby=False), read_history(folder), timeline, "dc3") == []


def test_the_timeline_writes_when_a_site_is_alone(tmp_path: Path, timeline: Timeline) -> None:
    cut = Op("cut_site", ("dc3",))
    timeline.broken(cut)
    timeline.mending([cut])
    write(tmp_path, accepted=[accepted("k")])
    alone = read_history(tmp_path).alone
    assert [(line.site, line.event) for line in alone] == [("dc3", "alone"), ("dc3", "joined")]


def test_only_lines_of_this_scenario_are_copied_and_torn_ones_wait(tmp_path: Path) -> None:
    lab, folder = tmp_path / "lab", tmp_path / "lab" / "scenarios" / "run" / "case"
    write(lab, effects=[effect("before-1"), effect("mine-0")])
    write(folder / "witness" / "producer", accepted=[accepted("mine-1"), accepted("mine-2", "D")])
    files = EffectFiles(root=lab, folder=folder, prefix="mine")
    files.begin()
    with (lab / "dc1" / "effects.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"key": "other-1", "event": "effect"}\n{"key": "mine-1", "ev')
        file.flush()
        files.look()
        assert files.missing() == ["mine-1"]
        file.write('ent": "effect"}\n')
    files.look()
    assert files.missing() == []
    copied = (folder / "effects" / "dc1" / "effects.jsonl").read_text(encoding="utf-8")
    assert copied == '{"key": "mine-1", "event": "effect"}\n'


def result(name: str, status: Status = Status.GREEN, **figures: Any) -> Result:
    return Result(
        name=name,
        sentence="dc1 leads: it breaks.",
        seed=1,
        time_scale=1.0,
        status=status,
        why=[] if status is Status.GREEN else ["lost: k: never started"],
        figures={"accepted": 100, "started": 101, "repeated_starts": 1, **figures},
        folder="/nowhere",
        rules={"lost": 0 if status is Status.GREEN else 1},
    )


def test_a_report_without_cases_is_not_green() -> None:
    assert not Report(seed=1, time_scale=1.0).green


def test_the_report_holds_figures_against_their_aims() -> None:
    report = Report(seed=1, time_scale=1.0)
    report.results += [
        result("a", new_master_after_s=6.5, two_masters_plain_s=0.0),
        result("b", new_master_after_s=None, two_masters_plain_s=4.1),
    ]
    found = {one["title"]: one for one in report.as_json()["figures"]}
    moved = found["Fault to the first replicated write at a new master, s"]
    assert (moved["cases"], moved["p95"], moved["reached"]) == (1, 6.5, True)
    assert found["Two masters accepting plain writes, s"]["reached"] is False
    assert found["Fault to the first start on the standby, s"]["reached"] is None


def test_the_page_shows_reds_misses_and_a_shrunk_clock() -> None:
    report = Report(seed=7, time_scale=0.2)
    report.results += [result("good.case"), result("bad.case", Status.RED, new_master_after_s=9.0)]
    page = markdown(report.as_json())
    assert "1 green, 1 red" in page
    assert "shrunk to 0.2" in page
    assert "| `bad.case` | **RED** |" in page
    assert "**missed**" in page
    assert "lost: k: never started" in page
    assert "200 tasks were accepted, 1 lost" in page
