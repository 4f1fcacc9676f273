"""Who gets the activation lease, until when, and that two can never hold it."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from fleet.policy.budget import Spent
from fleet.policy.lease import (
    Answer,
    Ask,
    Lease,
    Own,
    Permit,
    ask,
    ends_s,
    is_free,
    left_s,
    may_start,
)
from fleet.policy.timing import TIMING
from fleet.policy.verdict import Kind

BOOT = "boot-1"
NOW_S = 1000.0
HELD = Lease(generation=3, activator="dc2", down="dc1", epoch=7, granted_s=NOW_S - 10, boot_id=BOOT)
RENEW = Ask(activator="dc2", down="dc1", evidence_age_s=1.0, generation=3, epoch=7)
ANEW = replace(RENEW, generation=0)
AGREES = Own(kind_of_down=Kind.DOWN, confirmed=True, hears_activator=True, hears_down=False)
WAIT_S = TIMING.lease_ttl_s * 1.01


def answer(lease: Lease, request: Ask, own: Own = AGREES, **changed: Any) -> Answer:
    values: dict[str, Any] = {"now_s": NOW_S, "boot_id": BOOT, "epoch": 7, "spent": Spent()}
    return ask(lease, request, own, **values | changed)


def test_the_first_lease_is_granted_when_both_find_the_same_site_down() -> None:
    given_out = answer(Lease(), ANEW)

    assert given_out.granted
    assert given_out.lease == Lease(
        generation=1, activator="dc2", down="dc1", epoch=7, granted_s=NOW_S, boot_id=BOOT
    )
    assert "both find dc1 down" in given_out.reason


def test_a_renewal_keeps_the_generation_and_starts_the_time_again() -> None:
    renewed = answer(HELD, RENEW)

    assert renewed.granted
    assert renewed.lease == replace(HELD, granted_s=NOW_S)


REFUSED_BOTH_WAYS = [
    ("an-older-epoch", {"epoch": 6}, {}, "epoch 6, the fleet is in 7"),
    ("an-epoch-to-come", {"epoch": 8}, {}, "epoch 8, the fleet is in 7"),
    ("an-old-look", {"evidence_age_s": 10.0}, {}, "last looked 10.0 s ago"),
    ("a-look-to-come", {"evidence_age_s": -0.1}, {}, "last looked -0.1 s ago"),
    ("no-number", {"evidence_age_s": float("nan")}, {}, "last looked"),
    ("not-heard", {}, {"hears_activator": False}, "does not hear dc2"),
    ("the-site-is-heard", {}, {"hears_down": True}, "dc1"),
    ("only-the-overlay-is-down", {}, {"kind_of_down": Kind.OVERLAY_DOWN}, "overlay-down"),
    ("only-the-broker-is-down", {}, {"kind_of_down": Kind.BROKER_ONLY}, "broker-only"),
    ("one-link-is-down", {}, {"kind_of_down": Kind.LINK_DOWN}, "link-down"),
    ("planned-stop", {}, {"kind_of_down": Kind.MAINTENANCE}, "maintenance"),
    ("unknown", {}, {"kind_of_down": Kind.UNKNOWN}, "unknown"),
    ("itself", {"down": "dc2"}, {}, "two different sites"),
    ("nobody", {"activator": ""}, {}, "two different sites"),
    ("a-generation-to-come", {"generation": 4}, {}, "the last one is 3"),
    ("a-generation-of-old", {"generation": 2}, {}, "the last one is 3"),
]


@pytest.mark.parametrize("request_", [RENEW, ANEW], ids=["renewal", "new"])
@pytest.mark.parametrize(
    ("asked", "own", "says"),
    [case[1:] for case in REFUSED_BOTH_WAYS],
    ids=[case[0] for case in REFUSED_BOTH_WAYS],
)
def test_refused_as_a_renewal_and_as_a_new_lease(
    request_: Ask, asked: dict[str, Any], own: dict[str, Any], says: str
) -> None:
    refused = answer(HELD, replace(request_, **asked), replace(AGREES, **own))

    assert not refused.granted
    assert refused.lease is HELD
    assert says in refused.reason


@pytest.mark.parametrize(
    ("own", "renewed", "granted"),
    [
        ({}, True, True),
        ({"confirmed": False}, True, False),
        ({"kind_of_down": Kind.SUSPECT, "confirmed": False}, True, False),
        ({"kind_of_down": Kind.UP, "hears_down": True, "ramping": True}, True, False),
        ({"kind_of_down": Kind.UP, "hears_down": True}, False, False),
    ],
    ids=["down", "not-confirmed", "suspect", "ramping", "back"],
)
def test_a_lease_goes_on_with_less_than_it_takes_to_begin_one(
    own: dict[str, Any], renewed: bool, granted: bool
) -> None:
    seen = replace(AGREES, **own)

    assert answer(HELD, RENEW, seen).granted is renewed
    assert answer(HELD, ANEW, seen).granted is granted


@pytest.mark.parametrize(
    ("age_s", "free"), [(0.0, False), (30.0, False), (30.29, False), (30.31, True), (900.0, True)]
)
def test_another_site_waits_until_the_grantor_regards_the_lease_as_free(
    age_s: float, free: bool
) -> None:
    held = replace(HELD, granted_s=NOW_S - age_s)
    other = Ask(activator="dc1", down="dc2", evidence_age_s=1.0, generation=0, epoch=7)

    assert is_free(held, now_s=NOW_S, boot_id=BOOT) is free
    got = answer(held, other)
    assert got.granted is free
    assert got.lease.generation == (4 if free else 3)
    assert free or "dc2 holds lease 3 for dc1" in got.reason


def test_the_same_site_gets_a_new_generation_when_its_answer_was_lost_or_too_late() -> None:
    lost = answer(HELD, ANEW)
    late = answer(replace(HELD, granted_s=NOW_S - 30), RENEW)

    assert (lost.lease.generation, late.lease.generation) == (4, 4)


def test_the_reason_says_whether_the_site_is_lost_or_on_its_way_back() -> None:
    fenced = replace(AGREES, ramping=True)
    back = replace(fenced, kind_of_down=Kind.UP, hears_down=True)

    assert "both find dc1 down" in answer(HELD, RENEW, fenced).reason
    assert "dc1 back, but not yet at full share" in answer(HELD, RENEW, back).reason


def test_a_lease_that_ran_out_is_not_renewed_for_a_site_that_is_ramping_up() -> None:
    ramping = replace(AGREES, kind_of_down=Kind.UP, hears_down=True, ramping=True)

    assert not answer(replace(HELD, granted_s=NOW_S - 30), RENEW, ramping).granted


def test_a_boot_voids_the_lease_and_frees_it_only_after_the_whole_wait() -> None:
    just: dict[str, Any] = {"boot_id": "boot-2", "now_s": 5.0}
    later: dict[str, Any] = {"boot_id": "boot-2", "now_s": WAIT_S}
    other = Ask(activator="dc1", down="dc2", evidence_age_s=1.0, generation=0, epoch=7)

    assert left_s(HELD, **just) == 0.0
    assert not is_free(HELD, **just)
    assert not answer(HELD, other, **just).granted
    assert answer(HELD, other, **later).granted
    assert answer(HELD, RENEW, **just).lease.generation == 4


@pytest.mark.parametrize(
    ("spent", "over"),
    [
        (Spent(), ""),
        (Spent(month_s=100 * 3600.0 - 1, run_s=8 * 3600.0 - 1), ""),
        (Spent(month_s=100 * 3600.0), "100.0 h this month"),
        (Spent(run_s=8 * 3600.0), "8.0 h without a break"),
    ],
)
def test_above_the_budget_a_person_has_to_confirm(spent: Spent, over: str) -> None:
    got = answer(HELD, RENEW, spent=spent)
    confirmed = answer(HELD, RENEW, spent=spent, confirmed_by_person=True)

    assert got.granted is not bool(over)
    assert over in got.reason
    assert confirmed.granted
    assert not over or "a person has confirmed" in confirmed.reason


PERMIT = Permit(generation=3, sent_s=50.0, boot_id="run-1", ttl_s=30.0)


@pytest.mark.parametrize(
    ("permit", "now_s", "boot_id", "allowed", "says"),
    [
        (None, 50.0, "run-1", False, "no lease"),
        (replace(PERMIT, generation=0), 50.0, "run-1", False, "no lease"),
        (PERMIT, 50.0, "run-1", True, "30 s left"),
        (PERMIT, 79.6, "run-1", True, "lease 3"),
        (PERMIT, 79.7, "run-1", False, "ran out"),
        (PERMIT, 50.0, "run-2", False, "before the last start or resume"),
        (replace(PERMIT, ttl_s=0.0), 50.0, "run-1", False, "ran out"),
        (replace(PERMIT, ttl_s=9e9), 79.6, "run-1", True, "0 s left"),
        (replace(PERMIT, ttl_s=9e9), 79.7, "run-1", False, "ran out"),
        (replace(PERMIT, ttl_s=float("nan")), 50.0, "run-1", False, "ran out"),
    ],
)
def test_the_holder_stops_a_little_before_its_time(
    permit: Permit | None, now_s: float, boot_id: str, allowed: bool, says: str
) -> None:
    decided = may_start(permit, now_s=now_s, boot_id=boot_id)

    assert decided.allowed is allowed
    assert says in decided.reason


@given(
    rates=st.tuples(*[st.floats(0.99, 1.01)] * 2),
    sent_s=st.floats(0, 100),
    answered_s=st.floats(0, 100),
    age_s=st.floats(0, 40),
    later_s=st.floats(0, 100),
)
def test_while_the_holder_believes_the_grantor_does_not_give_it_away(
    rates: tuple[float, float], sent_s: float, answered_s: float, age_s: float, later_s: float
) -> None:
    """Real seconds; each clock runs at its own rate, up to 1 % off. Asked before answered."""
    holder, grantor = rates
    granted_s = 1000.0
    answered = granted_s + age_s
    lease = replace(HELD, granted_s=granted_s * grantor)
    promised_s = left_s(lease, now_s=answered * grantor, boot_id=BOOT)
    permit = Permit(
        generation=3, sent_s=(answered - sent_s) * holder, boot_id="h", ttl_s=promised_s
    )

    now = answered + answered_s + later_s
    believes = may_start(permit, now_s=now * holder, boot_id="h").allowed
    assert not (believes and is_free(lease, now_s=now * grantor, boot_id=BOOT))


class TwoSitesOneLease(RuleBasedStateMachine):
    """Two LANs ask, the grantor reboots, the holder freezes; clocks drift all the time.

    Real time is `self.at_s`. The holder knows only permits; the grantor only the lease.
    """

    @initialize(grantor=st.floats(0.99, 1.01), holder=st.floats(0.99, 1.01))
    def clocks(self, grantor: float, holder: float) -> None:
        self.at_s = 1000.0
        self.rates = {"grantor": grantor, "holder": holder}
        self.booted_s, self.boots, self.runs = 0.0, 0, 0
        self.lease = Lease()
        self.permits: list[tuple[str, Permit]] = []
        self.asked: list[tuple[float, str]] = []
        self.generations = [0]

    def grantor_clock(self) -> dict[str, Any]:
        now_s = (self.at_s - self.booted_s) * self.rates["grantor"]
        return {"now_s": now_s, "boot_id": str(self.boots)}

    def holder_clock(self) -> dict[str, Any]:
        return {"now_s": self.at_s * self.rates["holder"], "boot_id": str(self.runs)}

    @rule(seconds=st.floats(0.1, 40))
    def time_passes(self, seconds: float) -> None:
        self.at_s += seconds

    @rule(
        activator=st.sampled_from(["dc1", "dc2"]),
        kind=st.sampled_from([Kind.DOWN, Kind.SUSPECT, Kind.UP]),
        ramping=st.booleans(),
        known=st.booleans(),
    )
    def a_lan_asks(self, activator: str, kind: Kind, ramping: bool, known: bool) -> None:
        request = Ask(
            activator=activator,
            down={"dc1": "dc2", "dc2": "dc1"}[activator],
            evidence_age_s=1.0,
            generation=self.lease.generation if known else 0,
            epoch=0,
        )
        own = Own(
            kind_of_down=kind,
            confirmed=kind is Kind.DOWN,
            hears_activator=True,
            hears_down=kind is Kind.UP,
            ramping=ramping,
        )
        got = ask(self.lease, request, own, epoch=0, spent=Spent(), **self.grantor_clock())
        self.lease = got.lease
        if got.lease.generation != self.generations[-1]:
            self.generations.append(got.lease.generation)

    @rule()
    def the_holder_asks(self) -> None:
        self.asked.append((self.at_s * self.rates["holder"], str(self.runs)))

    @rule()
    def the_grantor_answers_the_oldest_question(self) -> None:
        if not self.asked:
            return
        sent_s, run = self.asked.pop(0)
        permit = Permit(
            generation=self.lease.generation,
            sent_s=sent_s,
            boot_id=run,
            ttl_s=left_s(self.lease, **self.grantor_clock()),
        )
        self.permits.append((self.lease.activator, permit))

    @rule()
    def the_grantor_boots(self) -> None:
        self.boots, self.booted_s = self.boots + 1, self.at_s

    @rule()
    def the_holder_resumes(self) -> None:
        self.runs += 1

    @invariant()
    def the_holders_belief_is_part_of_the_grantors(self) -> None:
        if not hasattr(self, "lease"):
            return
        believed = {
            activator
            for activator, permit in self.permits
            if may_start(permit, **self.holder_clock()).allowed
        }
        assert len(believed) <= 1, "two sites' leases are believed in at once"
        if believed:
            assert not is_free(self.lease, **self.grantor_clock())
            assert believed == {self.lease.activator}

    @invariant()
    def generations_only_rise(self) -> None:
        if hasattr(self, "generations"):
            assert self.generations == sorted(set(self.generations))


TestTwoSitesOneLease = TwoSitesOneLease.TestCase
TestTwoSitesOneLease.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_the_end_that_workers_are_told_is_the_end_that_the_permit_has() -> None:
    end_s = ends_s(PERMIT)

    assert end_s == pytest.approx(79.7)
    assert may_start(PERMIT, now_s=end_s - 0.001, boot_id="run-1").allowed
    assert not may_start(PERMIT, now_s=end_s, boot_id="run-1").allowed
