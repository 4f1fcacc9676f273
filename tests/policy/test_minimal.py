"""What may be done in which mode, written a second time from the specification."""

import itertools

import pytest

from fleet.policy.effects import EffectClass
from fleet.policy.minimal import TABLE, Deed, may
from fleet.policy.modes import FLEET_MODES, Mode

ALWAYS = {"accept", "show", "alert", "upkeep", "probe"}
BROKER = {"publish-new", "publish-again", "new-attempt"}
#: Mode -> what may be done there for a run of which nothing is known.
CONTRACT = {
    "normal": ALWAYS | BROKER | {"prewarm", "expire-lan-lease", "promote-broker", "worker-join"},
    "recovering": ALWAYS
    | BROKER
    | {"prewarm", "expire-lan-lease", "promote-broker", "worker-join"},
    "maintenance": ALWAYS
    | BROKER
    | {"prewarm", "expire-lan-lease", "promote-broker", "worker-join"},
    "failover": ALWAYS | BROKER | {"prewarm", "expire-lan-lease", "worker-join"},
    "minimal": ALWAYS | {"prewarm"},
    "override": ALWAYS | BROKER | {"prewarm", "expire-lan-lease", "worker-join", "run-here"},
    "lan-only": ALWAYS | BROKER | {"expire-lan-lease"},
    "island": ALWAYS,
}


@pytest.mark.parametrize(("mode", "deed"), list(itertools.product(Mode, Deed)))
def test_every_mode_answers_every_deed_as_the_contract_says(mode: Mode, deed: Deed) -> None:
    decided = may(deed, mode)

    assert decided.allowed is (deed in CONTRACT[mode])
    assert decided.reason


def test_the_table_has_a_row_for_every_mode_and_a_rule_for_every_deed() -> None:
    assert {mode: set(rules) for mode, rules in TABLE.items()} == {mode: set(Deed) for mode in Mode}


@pytest.mark.parametrize("deed", [Deed.NEW_ATTEMPT, Deed.RUN_HERE])
@pytest.mark.parametrize(
    ("published", "effect", "allow", "says"),
    [
        (False, EffectClass.A, True, ""),
        (True, EffectClass.A, True, "published before"),
        (False, EffectClass.B, True, "effect class B"),
        (False, EffectClass.C, True, "effect class C"),
        (False, EffectClass.D, True, "effect class D"),
        (False, None, True, "effect class unknown"),
        (False, EffectClass.A, False, "allow_minimal"),
    ],
)
def test_in_minimal_mode_only_harmless_work_that_nobody_else_has_may_run_here(
    deed: Deed, published: bool, effect: EffectClass | None, allow: bool, says: str
) -> None:
    decided = may(
        deed, Mode.MINIMAL, published_before=published, effect=effect, allow_minimal=allow
    )

    assert decided.allowed is (not says)
    assert says in decided.reason


@pytest.mark.parametrize("effect", [None, *EffectClass])
@pytest.mark.parametrize("allow_minimal", [False, True])
@pytest.mark.parametrize("owned", [False, True])
@pytest.mark.parametrize(
    "deed",
    [Deed.PUBLISH_AGAIN, Deed.PUBLISH_NEW, Deed.EXPIRE_LAN_LEASE, Deed.PROMOTE_BROKER],
)
def test_in_minimal_mode_nothing_touches_a_broker_or_a_lans_claim(
    deed: Deed, effect: EffectClass | None, allow_minimal: bool, owned: bool
) -> None:
    for published in (False, True):
        decided = may(
            deed,
            Mode.MINIMAL,
            published_before=published,
            effect=effect,
            allow_minimal=allow_minimal,
            owned=owned,
        )
        assert not decided.allowed
        assert "cut off" in decided.reason


@pytest.mark.parametrize(
    ("published", "effect", "owned", "allowed"),
    [
        (False, EffectClass.A, False, True),
        (True, EffectClass.A, False, False),
        (False, EffectClass.B, False, False),
        (True, EffectClass.D, True, True),
    ],
)
def test_a_site_that_is_alone_runs_what_nobody_else_can_run(
    published: bool, effect: EffectClass, owned: bool, allowed: bool
) -> None:
    decided = may(
        Deed.RUN_HERE, Mode.ISLAND, published_before=published, effect=effect, owned=owned
    )

    assert decided.allowed is allowed


def test_nobody_but_sentinel_moves_the_broker_while_a_site_is_lost() -> None:
    movers = {mode for mode in FLEET_MODES if may(Deed.PROMOTE_BROKER, mode).allowed}

    assert movers == {Mode.NORMAL, Mode.RECOVERING, Mode.MAINTENANCE}
