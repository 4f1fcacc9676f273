"""Random correct histories are green; one damage of any kind turns them red."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.lab.history.check import check_folder
from deploy.lab.history.violations import Rule
from tests.lab.history_lines import accepted, ack, effect, start, write

SITES = {"dc1": "mini-1", "dc2": "mini-2"}
Lines = list[dict[str, Any]]


@st.composite
def correct_histories(draw: st.DrawFn) -> tuple[Lines, Lines]:
    """Tasks of every class; attempts may be lost before their effect, with rising tokens."""
    taken, lines, token = [], [], 0
    for number in range(draw(st.integers(1, 12))):
        key, kind = f"k{number}", draw(st.sampled_from("ABCD"))
        lost_attempts = 0 if kind == "D" else draw(st.integers(0, 3))
        taken.append(accepted(key, kind, monotonic_s=float(number)))
        for attempt in range(lost_attempts + 1):
            token += 1
            site = draw(st.sampled_from(sorted(SITES)))
            at = {"site": site, "box": SITES[site], "monotonic_s": number + attempt + 0.5}
            lines.append(start(key, kind, token, **at))
            if attempt == lost_attempts:
                lines.append(effect(key, kind, token, **at))
    # Boxes write interleaved, each in its own order.
    return taken, sorted(lines, key=lambda line: line["monotonic_s"])


def lose(taken: Lines, lines: Lines) -> Rule:
    """The first fenced or keyed task vanishes; a new one does where all are of class D."""
    taken.append(accepted("gone", "A"))
    return Rule.LOST


def repeat_an_effect(taken: Lines, lines: Lines) -> Rule:
    last = next(line for line in reversed(lines) if line["event"] == "effect")
    lines.append(dict(last))
    return Rule.TOKEN_ORDER if last["class"] == "C" else Rule.EFFECT_TWICE


def start_with_an_old_token(taken: Lines, lines: Lines) -> Rule:
    first = next(line for line in lines if line["event"] == "start")
    lines.append(dict(first))
    return Rule.STARTED_TWICE if first["class"] == "D" else Rule.TOKEN_ORDER


def start_without_a_lease(taken: Lines, lines: Lines) -> Rule:
    lines.append(start("extra", "A", 10_000, site="dc3", box="standby-1"))
    return Rule.NO_LEASE


def accept_again(taken: Lines, lines: Lines) -> Rule:
    taken.append({**taken[0], "id": "another"})
    return Rule.ACCEPTED_TWICE


DAMAGES = (lose, repeat_an_effect, start_with_an_old_token, start_without_a_lease, accept_again)


def rules(taken: Lines, lines: Lines, acks: Lines | None = None) -> set[Rule]:
    with tempfile.TemporaryDirectory() as folder:
        written = write(Path(folder), accepted=taken, effects=lines, acks=acks or [])
        return {one.rule for one in check_folder(written, standby="dc3").violations}


@given(correct_histories())
@settings(max_examples=60, deadline=None)
def test_a_correct_history_is_green(history: tuple[Lines, Lines]) -> None:
    assert rules(*history) == set()


@given(correct_histories(), st.sampled_from(DAMAGES))
@settings(max_examples=100, deadline=None)
def test_one_damage_is_found_by_its_rule(history: tuple[Lines, Lines], damage: Any) -> None:
    taken, lines = history
    expected = damage(taken, lines)
    assert expected in rules(taken, lines)


@given(
    st.lists(st.tuples(st.floats(0.5, 60), st.floats(0.01, 20)), min_size=1, max_size=8),
    st.data(),
)
@settings(max_examples=60, deadline=None)
def test_reigns_one_after_the_other_are_green_and_a_moved_one_is_red(
    spans: list[tuple[float, float]], data: st.DataObject
) -> None:
    """Masters alternate with a pause between; then one reign is stretched over the next."""
    acks, at_s = [], 0.0
    for number, (length_s, pause_s) in enumerate(spans):
        reign: dict[str, Any] = {"site": ("dc1", "dc2")[number % 2], "reign": f"r{number}"}
        acks += [ack(at_s=at_s, **reign), ack(at_s=at_s + length_s, **reign)]
        at_s += length_s + pause_s + 0.01
    task = ([accepted("k")], [start("k"), effect("k")])
    assert rules(*task, acks) == set()
    other: dict[str, Any] = {"site": "dc3", "reign": "usurper"}
    inside_s = data.draw(st.floats(0.1, 0.4))
    usurper = [ack(at_s=inside_s, **other), ack(at_s=inside_s + 0.05, **other)]
    assert rules(*task, acks + usurper) == {Rule.TWO_MASTERS}
