"""The classification: all 64 states of the links, and each rule by itself."""

from collections.abc import Collection
from typing import Any

import pytest

from fleet.policy.matrix import Matrix
from fleet.policy.timing import TIMING
from fleet.policy.verdict import RULES, Kind, Verdict, classify
from tests.policy.matrices import (
    ALL_OPEN,
    CONTROL,
    SITES,
    Open,
    every_state,
    held_at,
    matrix_of,
    name_of,
    with_row,
    with_word,
)

STATES = list(every_state())
HEALTHY = matrix_of(ALL_OPEN)
#: By the undirected links that work: the kinds of dc1, dc2 and dc3 to an outside reader.
KINDS = {
    frozenset({"12", "13", "23"}): (Kind.UP, Kind.UP, Kind.UP),
    frozenset({"13", "23"}): (Kind.LINK_DOWN, Kind.LINK_DOWN, Kind.UP),
    frozenset({"12", "23"}): (Kind.LINK_DOWN, Kind.UP, Kind.LINK_DOWN),
    frozenset({"12", "13"}): (Kind.UP, Kind.LINK_DOWN, Kind.LINK_DOWN),
    frozenset({"23"}): (Kind.SUSPECT, Kind.UP, Kind.UP),
    frozenset({"13"}): (Kind.UP, Kind.SUSPECT, Kind.UP),
    frozenset({"12"}): (Kind.UP, Kind.UP, Kind.SUSPECT),
    frozenset(): (Kind.UNKNOWN, Kind.UNKNOWN, Kind.UNKNOWN),
}


def verdict(matrix: Matrix, subject: str, me: str = "") -> Verdict:
    me = me or next(site for site in SITES if site != subject)
    return classify(matrix, me=me, subject=subject, sites=SITES, control=CONTROL)


def kind(matrix: Matrix, subject: str, me: str = "") -> Kind:
    return verdict(matrix, subject, me).kind


def both_ways(state: Open) -> frozenset[str]:
    pairs = (("dc1", "dc2"), ("dc1", "dc3"), ("dc2", "dc3"))
    return frozenset(a[2] + b[2] for a, b in pairs if (a, b) in state and (b, a) in state)


def expected(state: Open, subject: str) -> Kind:
    """From the table of undirected states; a dead link that is half alive is "one-way"."""
    found = KINDS[both_ways(state)][SITES.index(subject)]
    if found is not Kind.LINK_DOWN:
        return found
    half = any(((subject, o) in state) != ((o, subject) in state) for o in SITES if o != subject)
    return Kind.ONE_WAY if half else Kind.LINK_DOWN


@pytest.mark.parametrize("state", STATES, ids=name_of)
def test_all_rows_known_each_state_of_the_links_has_its_kind(state: Open) -> None:
    for subject in SITES:
        for me in SITES:
            if me != subject:
                assert kind(matrix_of(state), subject, me) is expected(state, subject)


@pytest.mark.parametrize("state", STATES, ids=name_of)
def test_a_site_that_no_link_serves_both_ways_finds_itself_isolated(state: Open) -> None:
    for site in SITES:
        linked = any(site[2] in pair for pair in both_ways(state))
        assert (kind(held_at(site, state), site, site) is Kind.SELF_ISOLATED) == (not linked)


@pytest.mark.parametrize("state", STATES, ids=name_of)
def test_with_the_rows_that_arrive_the_two_who_are_in_touch_suspect_the_third(state: Open) -> None:
    for subject in SITES:
        observers = [site for site in SITES if site != subject]
        suspected_by = [o for o in observers if kind(held_at(o, state), subject, o) is Kind.SUSPECT]
        truly = expected(state, subject) is Kind.SUSPECT
        assert suspected_by == (observers if truly else [])


@pytest.mark.parametrize("state", STATES, ids=name_of)
def test_with_the_rows_that_arrive_at_most_one_site_is_suspected(state: Open) -> None:
    suspects = {
        subject
        for me in SITES
        for subject in SITES
        if kind(held_at(me, state), subject, me) is Kind.SUSPECT
    }
    assert len(suspects) <= 1


def test_there_are_64_states_and_each_row_of_the_table_is_met() -> None:
    assert len(STATES) == 64
    assert {both_ways(state) for state in STATES} == set(KINDS)


def isolated(site: str, public: Collection[str] = ()) -> Matrix:
    return matrix_of(frozenset(w for w in ALL_OPEN if site not in w), public)


CASES: list[tuple[str, Matrix, str, Kind, str]] = [
    ("maintenance", with_row(HEALTHY, "dc1", maintenance_left_s=60.0), "dc1",
     Kind.MAINTENANCE, "60 s more"),
    ("maintenance of a silent site", with_row(isolated("dc1"), "dc1", maintenance_left_s=60.0),
     "dc1", Kind.MAINTENANCE, "60 s more"),
    ("public path of a LAN", isolated("dc1", ["dc1"]), "dc1",
     Kind.OVERLAY_DOWN, "the public path does"),
    ("public path of the control plane", isolated("dc3", ["dc2"]), "dc3",
     Kind.OVERLAY_DOWN, "the public path does"),
    ("the other LAN's public path", isolated("dc1", ["dc2"]), "dc1",
     Kind.SUSPECT, "dc2 and dc3 reach each other"),
    ("cut off, and its Redis with it",
     with_row(isolated("dc1"), "dc2", sentinel={"dc1": "o_down"}), "dc1",
     Kind.SUSPECT, "but not dc1"),
    ("broker times out", with_row(HEALTHY, "dc1", broker="timeout"), "dc1",
     Kind.BROKER_ONLY, "'timeout'"),
    ("broker without replicas", with_row(HEALTHY, "dc1", broker="noreplicas"), "dc1",
     Kind.BROKER_ONLY, "'noreplicas'"),
    ("broker not tried yet", with_row(HEALTHY, "dc1", broker="unknown"), "dc1", Kind.UP, ""),
    ("one Sentinel finds its Redis down", with_row(HEALTHY, "dc2", sentinel={"dc1": "s_down"}),
     "dc1", Kind.BROKER_ONLY, "Sentinel at dc2 says s_down"),
    ("its own Sentinel finds another down", with_row(HEALTHY, "dc1", sentinel={"dc2": "s_down"}),
     "dc1", Kind.UP, ""),
    ("workers silent", with_row(HEALTHY, "dc1", workers_age_s=91.0), "dc1",
     Kind.WORKERS_ONLY, "91 s"),
    ("workers a little silent", with_row(HEALTHY, "dc1", workers_age_s=90.0), "dc1", Kind.UP, ""),
    ("canaries fail", with_row(HEALTHY, "dc1", canary_failures=3), "dc1",
     Kind.WORKERS_ONLY, "3 canaries"),
    ("two canaries fail", with_row(HEALTHY, "dc1", canary_failures=2), "dc1", Kind.UP, ""),
    ("standby asleep", with_row(HEALTHY, "dc3", workers_age_s=1e6), "dc3", Kind.UP, ""),
    ("loss", with_word(HEALTHY, "dc2", "dc1", loss=0.021), "dc1", Kind.DEGRADED, "2.1%"),
    ("loss on the way there", with_word(HEALTHY, "dc1", "dc2", loss=0.021), "dc1",
     Kind.DEGRADED, "dc1 hears dc2 badly"),
    ("loss elsewhere", with_word(HEALTHY, "dc2", "dc3", loss=0.5), "dc1", Kind.UP, ""),
    ("a little loss", with_word(HEALTHY, "dc2", "dc1", loss=0.02), "dc1", Kind.UP, ""),
    ("late beats", with_word(HEALTHY, "dc2", "dc1", late_share=0.11), "dc1",
     Kind.DEGRADED, "late for 11%"),
    ("slow", with_word(HEALTHY, "dc2", "dc1", rtt_ms=41.0, rtt_usual_ms=10.0), "dc1",
     Kind.DEGRADED, "4.1 times"),
    ("slow where nobody notices", with_word(HEALTHY, "dc2", "dc1", rtt_ms=19.0, rtt_usual_ms=0.2),
     "dc1", Kind.UP, ""),
    ("not slow", with_word(HEALTHY, "dc2", "dc1", rtt_ms=40.0, rtt_usual_ms=10.0), "dc1",
     Kind.UP, ""),
    ("slow compared with nothing", with_word(HEALTHY, "dc2", "dc1", rtt_ms=900.0), "dc1",
     Kind.UP, ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("matrix", "subject", "found", "why"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_each_rule_by_itself(matrix: Matrix, subject: str, found: Kind, why: str) -> None:
    answer = verdict(matrix, subject)
    assert answer.kind is found
    assert why in answer.reason


#: All that can be wrong with a site, in the order in which it counts; the last ones first made.
WRONGS: list[tuple[Kind, dict[str, Any]]] = [
    (Kind.MAINTENANCE, {"maintenance_left_s": 60.0}),
    (Kind.BROKER_ONLY, {"broker": "timeout"}),
    (Kind.WORKERS_ONLY, {"workers_age_s": 100.0}),
]


def test_the_first_rule_that_matches_wins() -> None:
    matrix: Matrix = with_word(HEALTHY, "dc2", "dc1", loss=0.5)
    assert kind(matrix, "dc1") is Kind.DEGRADED
    for wins, change in reversed(WRONGS):
        matrix = with_row(matrix, "dc1", **change)
        assert kind(matrix, "dc1") is wins


def test_a_cut_link_counts_before_what_the_row_says() -> None:
    matrix = matrix_of(ALL_OPEN - {("dc1", "dc2"), ("dc2", "dc1")})
    assert kind(with_row(matrix, "dc1", broker="timeout"), "dc1") is Kind.LINK_DOWN


def test_maintenance_has_a_hard_end_that_also_the_last_word_of_a_silent_site_keeps() -> None:
    state = frozenset(way for way in ALL_OPEN if "dc1" not in way)
    matrix = matrix_of(state)
    for age_s, found in ((59.0, Kind.MAINTENANCE), (60.0, Kind.SUSPECT)):
        last_word = with_row(matrix, "dc1", maintenance_left_s=60.0)["dc1"].row
        aged = {**matrix, "dc1": type(matrix["dc1"])(last_word, age_s)}
        assert kind(aged, "dc1") is found


@pytest.mark.parametrize("silent", ["dc2", "dc3"])
def test_without_the_other_observers_fresh_row_nobody_is_suspected(silent: str) -> None:
    me = "dc3" if silent == "dc2" else "dc2"
    matrix = dict(isolated("dc1"))
    matrix[silent] = type(matrix[silent])(matrix[silent].row, TIMING.row_fresh_s + 0.1)
    answer = verdict(matrix, "dc1", me)
    assert answer.kind is Kind.UNKNOWN
    assert f"no fresh row of {silent}" in answer.reason


def test_while_a_site_goes_silent_the_site_that_still_answers_stays_up() -> None:
    """Its last row is old before the detector speaks: nobody else is blamed in between."""
    matrix = {**HEALTHY, "dc1": type(HEALTHY["dc1"])(HEALTHY["dc1"].row, 5.0)}
    assert kind(matrix, "dc2", "dc3") is Kind.UP
    assert kind(matrix, "dc1", "dc3") is Kind.UNKNOWN


def test_a_site_that_still_has_its_public_path_is_not_isolated() -> None:
    assert kind(isolated("dc1", ["dc1"]), "dc1", "dc1") is Kind.OVERLAY_DOWN
    assert kind(isolated("dc3", ["dc2"]), "dc3", "dc3") is Kind.OVERLAY_DOWN


def test_nothing_known_is_unknown_everywhere() -> None:
    for subject in SITES:
        for me in SITES:
            assert kind({}, subject, me) is Kind.UNKNOWN


def test_a_row_that_leaves_a_site_out_says_nothing_of_it() -> None:
    matrix = with_row(HEALTHY, "dc2", heard={"dc3": HEALTHY["dc2"].row.heard["dc3"]})
    assert kind(matrix, "dc1", "dc3") is Kind.UNKNOWN


def test_of_two_sites_neither_can_say_that_the_other_is_down() -> None:
    matrix = {site: isolated("dc1")[site] for site in ("dc1", "dc3")}
    found = classify(matrix, me="dc3", subject="dc1", sites=("dc1", "dc3"), control="dc3")
    assert found.kind is Kind.UNKNOWN


def test_every_kind_but_down_and_unknown_has_one_rule() -> None:
    assert sorted(k for k, _ in RULES) == sorted(set(Kind) - {Kind.DOWN, Kind.UNKNOWN})


def test_the_reason_says_who_is_silent_and_for_how_long() -> None:
    matrix: Matrix = isolated("dc1")
    matrix = with_word(matrix, "dc2", "dc1", silent_s=8.0)
    matrix = with_word(matrix, "dc3", "dc1", silent_s=9.0, relayed=True)
    assert verdict(matrix, "dc1").reason == (
        "dc2 and dc3 reach each other, but not dc1: "
        "dc2 down (silent for 8 s), dc3 down (silent for 9 s), its rows still arrive"
    )
