"""A person's word against silence: two steps, a reason, an end, and never against a site heard."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.policy.override import LONGEST_S, NOT_HEARD, SHORTEST_S, Request, check
from fleet.policy.verdict import Kind

GOOD = Request(
    epoch=7,
    assert_down=("dc1", "dc2"),
    typed=("dc2", "dc1"),
    reason="power cut in the whole town, seen from the street",
    ttl_s=3600.0,
    by="operator",
)
ALONE = {"dc1": Kind.UNKNOWN, "dc2": Kind.UNKNOWN, "dc3": Kind.SELF_ISOLATED}


def test_a_complete_request_is_granted() -> None:
    decision = check(GOOD, 7, ALONE)
    assert decision.allowed
    assert decision.reason == "dc1,dc2 not heard by anybody"


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("no site", {"assert_down": (), "typed": ()}, "name the sites that are down"),
    ("no such site", {"assert_down": ("dc9",), "typed": ("dc9",)}, "there is no site dc9"),
    ("typed once", {"typed": ()}, "type the names of the same sites again"),
    ("typed others", {"typed": ("dc1", "dc3")}, "type the names of the same sites again"),
    ("typed one", {"typed": ("dc1",)}, "type the names of the same sites again"),
    ("typed more", {"typed": ("dc1", "dc2", "dc3")}, "type the names of the same sites again"),
    ("no reason", {"reason": ""}, "give a reason"),
    ("blank reason", {"reason": " \t\n"}, "give a reason"),
    ("nobody", {"by": " "}, "say who asks"),
    ("too short", {"ttl_s": SHORTEST_S - 0.1}, "from 1 minute to 24 hours"),
    ("too long", {"ttl_s": LONGEST_S + 0.1}, "from 1 minute to 24 hours"),
    ("no length", {"ttl_s": float("nan")}, "from 1 minute to 24 hours"),
    ("without an end", {"ttl_s": float("inf")}, "from 1 minute to 24 hours"),
    ("older epoch", {"epoch": 6}, "the epoch is 7, not 6"),
    ("newer epoch", {"epoch": 8}, "the epoch is 7, not 8"),
    ("itself", {"assert_down": ("dc3",), "typed": ("dc3",)}, "dc3 is self-isolated"),
]


@pytest.mark.parametrize(
    ("change", "why"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_an_incomplete_request_is_refused_with_what_to_do(change: dict[str, Any], why: str) -> None:
    decision = check(replace(GOOD, **change), 7, ALONE)
    assert not decision.allowed
    assert why in decision.reason


@pytest.mark.parametrize("kind", Kind)
def test_only_a_site_that_nobody_hears_may_be_called_down(kind: Kind) -> None:
    decision = check(GOOD, 7, {**ALONE, "dc2": kind})
    assert decision.allowed == (kind in NOT_HEARD)
    assert decision.allowed or decision.reason == f"dc2 is {kind}: a site that is heard is not down"


@pytest.mark.parametrize("ttl_s", [SHORTEST_S, LONGEST_S])
def test_the_limits_of_its_length_are_allowed(ttl_s: float) -> None:
    assert check(replace(GOOD, ttl_s=ttl_s), 7, ALONE).allowed


def test_sites_named_twice_are_named() -> None:
    twice = replace(GOOD, assert_down=("dc1", "dc1"), typed=("dc1",))
    assert check(twice, 7, ALONE).allowed
