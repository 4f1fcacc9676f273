"""Where a run is published, and above all that class D is published for one site only."""

from hypothesis import given
from hypothesis import strategies as st

from fleet.policy import routing
from fleet.policy.dispatch import Supply, place, slots_for
from fleet.policy.effects import EffectClass

SITES = ["dc1", "dc2", "dc3"]
capabilities = st.sampled_from(routing.CAPABILITIES)
workers = st.builds(
    Supply,
    site=st.sampled_from(SITES),
    capabilities=st.frozensets(capabilities),
    slots=st.integers(1, 8),
    busy=st.integers(0, 8),
)
supplies = st.lists(workers, max_size=6)


def worker(site: str, *found: str, slots: int = 2, busy: int = 0) -> Supply:
    return Supply(site=site, capabilities=frozenset(found), slots=slots, busy=busy)


@given(capabilities, supplies)
def test_class_d_is_pinned_to_a_live_worker_that_is_able_or_waits(
    capability: str, supply: list[Supply]
) -> None:
    placement = place(capability, "", EffectClass.D, supply)
    able = {s.site for s in supply if capability in s.capabilities}
    if placement.queue is None:
        assert not able
        assert capability in placement.reason
    else:
        assert routing.split_queue(placement.queue)[0] == capability
        assert routing.split_queue(placement.queue)[1] in able
        assert slots_for(placement.queue, supply) > 0


@given(capabilities, st.sampled_from(SITES), st.sampled_from(EffectClass), supplies)
def test_a_pinned_run_goes_to_its_site_whatever_works_there(
    capability: str, site: str, effect: EffectClass, supply: list[Supply]
) -> None:
    assert place(capability, site, effect, supply).queue == f"{capability}.{site}"


@given(capabilities, st.sampled_from([EffectClass.A, EffectClass.B, EffectClass.C]), supplies)
def test_other_classes_go_to_whoever_is_first(
    capability: str, effect: EffectClass, supply: list[Supply]
) -> None:
    assert place(capability, "", effect, supply).queue == capability


def test_class_d_goes_where_most_slots_are_free() -> None:
    supply = [worker("dc1", "dev", slots=4, busy=4), worker("dc2", "dev", slots=2, busy=1)]
    assert place("dev", "", EffectClass.D, supply).queue == "dev.dc2"
    supply = [worker("dc1", "dev", slots=4, busy=1), worker("dc2", "dev", slots=2)]
    assert place("dev", "", EffectClass.D, supply).queue == "dev.dc1"


def test_only_able_workers_of_the_site_count_as_slots() -> None:
    supply = [worker("dc1", "dev", "udm", slots=3), worker("dc2", "dev", slots=2)]
    assert slots_for("dev", supply) == 5
    assert slots_for("dev.dc2", supply) == 2
    assert slots_for("udm", supply) == 3
    assert slots_for("udm.dc2", supply) == 0
