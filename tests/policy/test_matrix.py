"""Links read from rows, and rows that come from the network."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.policy.errors import RefusedError
from fleet.policy.matrix import (
    Heard,
    Link,
    Row,
    Seen,
    fresh_row,
    https_works,
    link,
    others,
    row_from_json,
    to_json,
)
from fleet.policy.rows import BROKER_VIEWS, SENTINEL_VIEWS
from fleet.policy.timing import TIMING
from tests.policy.matrices import ALL_OPEN, matrix_of, row, with_row

FRESH_S = TIMING.row_fresh_s
OLD_S = FRESH_S + 0.01

LINK_CASES = [
    # dc1 hears dc2, age of dc1's row, dc2 hears dc1, age of dc2's row
    (True, 0.0, True, 0.0, Link.UP),
    (True, FRESH_S, True, FRESH_S, Link.UP),
    (True, 0.0, False, 0.0, Link.ONE_WAY),
    (False, 0.0, True, 0.0, Link.ONE_WAY),
    (False, 0.0, False, 0.0, Link.DOWN),
    (False, 0.0, True, OLD_S, Link.DOWN),
    (True, OLD_S, False, 0.0, Link.DOWN),
    (True, 0.0, True, OLD_S, Link.UNKNOWN),
    (True, OLD_S, True, 0.0, Link.UNKNOWN),
    (False, OLD_S, False, OLD_S, Link.UNKNOWN),
]


@pytest.mark.parametrize(("one", "one_s", "two", "two_s", "found"), LINK_CASES)
def test_a_link_is_up_only_when_both_fresh_rows_say_so(
    one: bool, one_s: float, two: bool, two_s: float, found: Link
) -> None:
    matrix = {
        "dc1": Seen(row("dc1", ["dc2"] if one else []), one_s),
        "dc2": Seen(row("dc2", ["dc1"] if two else []), two_s),
    }
    assert link(matrix, "dc1", "dc2") is found
    assert link(matrix, "dc2", "dc1") is found


def test_what_nobody_says_is_unknown() -> None:
    matrix = matrix_of(ALL_OPEN)
    assert link({}, "dc1", "dc2") is Link.UNKNOWN
    assert link(with_row(matrix, "dc1", heard={}), "dc1", "dc2") is Link.UNKNOWN
    assert fresh_row(matrix, "dc9") is None


def test_others_are_in_order_and_without_the_site() -> None:
    assert others(["dc3", "dc1", "dc2"], "dc2") == ("dc1", "dc3")


@pytest.mark.parametrize(
    ("age_s", "suspected", "works"),
    [
        (None, False, False),
        (0.0, True, True),
        (20.0, False, True),
        (20.1, False, False),
        (4.0, True, True),
        (4.1, True, False),
    ],
)
def test_the_public_path_has_to_be_newer_once_the_overlay_is_suspected(
    age_s: float | None, suspected: bool, works: bool
) -> None:
    assert https_works(age_s, suspected=suspected) is works


TYPICAL = Row(
    site="dc1",
    seq=2_592_000,
    epoch=1234,
    heard={
        "dc2": Heard(heard=True, phi=0.123456, silent_s=0.987654, rtt_ms=18.7654321, loss=0.00345),
        "dc3": Heard(heard=True, https=True, silent_s=0.4, rtt_ms=31.4159, loss=0.0021),
    },
    sentinel={"dc1": "", "dc2": "", "dc3": ""},
    broker="ok",
    workers_age_s=3.14159,
    version="0.1.0",
)


def test_a_typical_row_fits_into_400_bytes() -> None:
    assert len(json.dumps(to_json(TYPICAL), separators=(",", ":"))) <= 400


def test_a_row_keeps_milliseconds() -> None:
    again = row_from_json(to_json(TYPICAL))
    assert again.heard["dc2"].silent_s == 0.988
    assert again.workers_age_s == 3.142


DURATIONS = st.integers(0, 10**9).map(lambda n: n / 1000)
SHARES = st.integers(0, 1000).map(lambda n: n / 1000)
SITE = st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True)
HEARD = st.builds(
    Heard,
    heard=st.booleans(),
    relayed=st.booleans(),
    https=st.none() | st.booleans(),
    phi=DURATIONS,
    silent_s=DURATIONS,
    rtt_ms=st.none() | DURATIONS,
    loss=SHARES,
    late_share=SHARES,
    rtt_usual_ms=st.none() | DURATIONS,
)
ROW = st.builds(
    Row,
    site=SITE,
    seq=st.integers(0, 2**63 - 1),
    epoch=st.integers(0, 2**63 - 1),
    heard=st.dictionaries(SITE, HEARD, max_size=4),
    sentinel=st.dictionaries(SITE, st.sampled_from(SENTINEL_VIEWS), max_size=4),
    broker=st.sampled_from(BROKER_VIEWS),
    workers_age_s=st.none() | DURATIONS,
    canary_failures=st.integers(0, 1000),
    maintenance_left_s=DURATIONS,
    version=st.from_regex(r"[A-Za-z0-9.+_-]{0,32}", fullmatch=True),
)


@given(ROW)
def test_every_row_survives_the_network(original: Row) -> None:
    assert row_from_json(json.loads(json.dumps(to_json(original)))) == original


def changed(**changes: Any) -> dict[str, Any]:
    return {**to_json(TYPICAL), **changes}


MALFORMED: list[tuple[Any, str]] = [
    (None, "row is not an object"),
    ([], "row is not an object"),
    ({}, "row lacks 'site'"),
    (changed(site=""), "row.site"),
    (changed(site="DC1"), "row.site"),
    (changed(site="dc1\n"), "row.site"),
    (changed(site=1), "row.site"),
    (changed(seq=-1), "row.seq"),
    (changed(seq=1.0), "row.seq"),
    (changed(seq=True), "row.seq"),
    (changed(seq=2**63), "row.seq"),
    (changed(epoch="7"), "row.epoch"),
    (changed(heard=[]), "row.heard"),
    (changed(heard={"x" * 40: {"heard": True}}), "a key of row.heard"),
    (changed(heard={f"dc{n}": {"heard": True} for n in range(17)}), "at most 16 sites"),
    (changed(heard={"dc2": {}}), "row.heard.dc2 lacks 'heard'"),
    (changed(heard={"dc2": {"heard": 1}}), "row.heard.dc2.heard"),
    (changed(heard={"dc2": {"heard": True, "https": "yes"}}), "row.heard.dc2.https"),
    (changed(heard={"dc2": {"heard": True, "loss": 1.1}}), "row.heard.dc2.loss"),
    (changed(heard={"dc2": {"heard": True, "phi": float("nan")}}), "row.heard.dc2.phi"),
    (changed(heard={"dc2": {"heard": True, "silent_s": float("inf")}}), "row.heard.dc2.silent_s"),
    (changed(heard={"dc2": {"heard": True, "silent_s": None}}), "row.heard.dc2.silent_s"),
    (changed(heard={"dc2": {"heard": True, "rtt_ms": -0.1}}), "row.heard.dc2.rtt_ms"),
    (changed(sentinel={"dc2": "down"}), "row.sentinel.dc2"),
    (changed(sentinel={"dc2": ["s_down"]}), "row.sentinel.dc2"),
    (changed(broker="OK"), "row.broker"),
    (changed(workers_age_s="old"), "row.workers_age_s"),
    (changed(canary_failures=None), "row.canary_failures"),
    (changed(maintenance_left_s=1e300), "row.maintenance_left_s"),
    (changed(version="0.1.0 <script>"), "row.version"),
]


@pytest.mark.parametrize(("data", "names"), MALFORMED, ids=[names for _, names in MALFORMED])
def test_a_malformed_row_is_refused_by_the_name_of_its_field(data: Any, names: str) -> None:
    with pytest.raises(RefusedError, match=names.replace(".", r"\.")):
        row_from_json(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.sampled_from(sorted(changed(canary_failures=0, maintenance_left_s=0.0))), JSON)
def test_a_field_of_any_content_is_taken_or_refused_never_more(name: str, content: Any) -> None:
    try:
        taken = row_from_json(changed(**{name: content}))
    except RefusedError:
        return
    assert row_from_json(to_json(taken)) == row_from_json(to_json(taken))
    assert json.dumps(to_json(taken), allow_nan=False)


def test_what_a_newer_version_adds_is_ignored() -> None:
    newer = changed(temperature=7, heard={"dc2": {"heard": True, "colour": "red"}})
    taken = row_from_json(newer)
    assert taken == replace(row_from_json(to_json(TYPICAL)), heard={"dc2": Heard(heard=True)})
