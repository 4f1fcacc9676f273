"""Two signatures of three: who may say that a site is down, and when."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.policy.certificate import Certificate, Refusal, Vote, certify
from fleet.policy.matrix import Link
from fleet.policy.timing import TIMING
from fleet.policy.verdict import Kind
from tests.policy.matrices import CONTROL, SITES

FRESH_S = TIMING.evidence_fresh_s


def vote(
    site: str, kind: Kind = Kind.DOWN, *, subject: str = "dc1", age_s: float = 1.0, seq: int = 5
) -> Vote:
    return Vote(site=site, subject=subject, kind=kind, row_seq=seq, age_s=age_s)


BOTH = [vote("dc3"), vote("dc2")]


def ask(
    votes: list[Vote],
    *,
    subject: str = "dc1",
    between: Link = Link.UP,
    term: int = 7,
    issued: Certificate | None = None,
) -> Certificate | Refusal:
    return certify(subject, votes, between, term, control=CONTROL, issued=issued)


def granted(answer: Certificate | Refusal) -> Certificate:
    assert isinstance(answer, Certificate), answer
    return answer


def test_two_sites_in_touch_certify_that_the_third_is_down() -> None:
    certificate = granted(ask(BOTH))
    assert (certificate.subject, certificate.term) == ("dc1", 7)
    assert certificate.reason == "dc2 and dc3 find dc1 down"


def test_two_lans_certify_that_the_control_plane_is_down() -> None:
    votes = [vote("dc1", subject="dc3"), vote("dc2", subject="dc3")]
    assert granted(ask(votes, subject="dc3")).reason == "dc1 and dc2 find dc3 down"


REFUSED: list[tuple[str, list[Vote], str]] = [
    ("nobody", [], "nobody with fresh evidence"),
    ("one", [vote("dc3")], "dc3 with fresh evidence finds dc1 down; 2 sites are needed"),
    ("one twice", [vote("dc3"), vote("dc3", seq=6)], "2 sites are needed"),
    ("the subject itself", [vote("dc3"), vote("dc1")], "2 sites are needed"),
    ("the control plane hears it", [vote("dc2"), vote("dc3", Kind.UP)], "dc3 finds dc1 up"),
    ("not confirmed", [vote("dc3"), vote("dc2", Kind.SUSPECT)], "dc2 finds dc1 suspect"),
    ("public path works", [vote("dc2"), vote("dc3", Kind.OVERLAY_DOWN)], "overlay-down"),
    ("old evidence", [vote("dc3"), vote("dc2", age_s=FRESH_S + 0.1)], "2 sites are needed"),
    ("newer word", [*BOTH, vote("dc2", Kind.UP, seq=6)], "dc2 finds dc1 up"),
    ("other subject", [vote("dc3"), vote("dc2", subject="dc4")], "2 sites are needed"),
    ("finds two down", [*BOTH, vote("dc2", subject="dc4")], "dc2 also finds dc4 down"),
    ("no control", [vote("dc2"), vote("dc4")], "dc3 has to agree"),
]


@pytest.mark.parametrize(
    ("votes", "why"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_less_than_that_is_refused_with_the_reason(votes: list[Vote], why: str) -> None:
    answer = ask(votes)
    assert isinstance(answer, Refusal)
    assert why in answer.reason


@pytest.mark.parametrize("between", sorted(set(Link) - {Link.UP}))
def test_voters_that_are_not_in_touch_certify_nothing(between: Link) -> None:
    assert ask(BOTH, between=between) == Refusal(f"the link between the voters is {between}")


def test_an_older_word_does_not_undo_a_newer_one() -> None:
    assert granted(ask([*BOTH, vote("dc2", Kind.UP, seq=4)])).votes == (BOTH[1], BOTH[0])


def test_evidence_at_its_limit_still_counts() -> None:
    granted(ask([vote("dc3"), vote("dc2", age_s=FRESH_S)]))


def test_a_term_has_one_certificate_at_most() -> None:
    first = granted(ask(BOTH))
    other = [vote("dc1", subject="dc2"), vote("dc3", subject="dc2")]
    assert ask(BOTH, issued=first) is first
    for term in (6, 7):
        answer = ask(other, subject="dc2", term=term, issued=first)
        assert answer == Refusal("term 7 already has a certificate, for dc1")
    assert granted(ask(other, subject="dc2", term=8, issued=first)).term == 8


def test_an_old_term_gets_no_certificate_for_the_same_site_either() -> None:
    first = granted(ask(BOTH))
    assert isinstance(ask(BOTH, term=6, issued=first), Refusal)


VOTES = st.builds(
    Vote,
    site=st.sampled_from(SITES),
    subject=st.sampled_from(SITES),
    kind=st.sampled_from([Kind.DOWN, Kind.UP, Kind.SUSPECT]),
    row_seq=st.integers(1, 3),
    age_s=st.floats(0, 20),
)


@given(st.lists(VOTES, max_size=8), st.sampled_from(SITES))
def test_whoever_is_certified_down_was_found_down_by_both_others(
    votes: list[Vote], subject: str
) -> None:
    answer = ask(votes, subject=subject)
    if isinstance(answer, Certificate):
        assert {v.site for v in answer.votes} == set(SITES) - {subject}
        assert all(
            v.subject == subject and v.kind is Kind.DOWN and v.age_s <= FRESH_S
            for v in answer.votes
        )


@given(st.lists(VOTES, max_size=8))
def test_the_same_votes_never_certify_two_sites(votes: list[Vote]) -> None:
    granted_to = [s for s in SITES if isinstance(ask(votes, subject=s), Certificate)]
    assert len(granted_to) <= 1


def test_of_all_words_of_the_two_others_only_down_and_down_certifies() -> None:
    for one, two in product(Kind, Kind):
        answer = ask([vote("dc2", one), vote("dc3", two)])
        assert isinstance(answer, Certificate) == (one is two is Kind.DOWN)
