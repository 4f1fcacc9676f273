"""Queue names, near names, and who serves what."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fleet.policy import routing
from fleet.policy.effects import EffectClass
from fleet.policy.errors import UnknownNameError

names = st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True)
capabilities = st.sampled_from(routing.CAPABILITIES)


@given(names, st.none() | names)
def test_a_queue_name_gives_back_capability_and_site(capability: str, site: str | None) -> None:
    queue = routing.queue_name(capability, site)
    assert routing.split_queue(queue) == (capability, site)


@given(names, names, st.none() | names, st.none() | names)
def test_two_places_never_share_a_queue(
    one: str, other: str, site: str | None, elsewhere: str | None
) -> None:
    assume((one, site) != (other, elsewhere))
    assert routing.queue_name(one, site) != routing.queue_name(other, elsewhere)


@given(st.sets(capabilities, min_size=1), names)
def test_a_worker_can_serve_every_queue_that_it_takes_from(found: set[str], site: str) -> None:
    queues = routing.queues_of_worker(found, site)
    assert all(routing.can_serve(found, site, queue) for queue in queues)
    assert len(queues) == len(set(queues)) == 2 * len(found)
    assert set(queues) <= set(routing.all_queues([site]))
    pinned = [routing.split_queue(queue)[1] is not None for queue in queues]
    assert pinned == sorted(pinned, reverse=True)


@pytest.mark.parametrize(
    ("found", "site", "queue", "serves"),
    [
        ({"dev"}, "dc1", "dev", True),
        ({"dev"}, "dc1", "dev.dc1", True),
        ({"dev"}, "dc1", "dev.dc2", False),
        ({"dev"}, "dc1", "udm", False),
        ({"dev", "udm"}, "dc1", "udm.dc1", True),
        (set(), "dc1", "dev", False),
    ],
)
def test_a_pinned_queue_is_served_at_its_site_only(
    found: set[str], site: str, queue: str, serves: bool
) -> None:
    assert routing.can_serve(found, site, queue) is serves


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("devv", "dev"), ("opnwrt", "openwrt"), ("udn", "udm"), ("netwrk", "network")],
)
def test_an_unknown_queue_names_the_near_one(wrong: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match="did you mean") as refused:
        routing.parse_queue(wrong, ["dc1"])
    assert near in refused.value.near
    assert near in str(refused.value)


def test_an_unknown_name_with_nothing_near_names_all_that_are_known() -> None:
    with pytest.raises(UnknownNameError, match="known: dev, network, openwrt") as refused:
        routing.parse_queue("zzzzzzzz", ["dc1"])
    assert refused.value.near == ()


def test_an_unknown_site_of_a_queue_is_refused_as_a_site() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown site 'dc9'.*dc1") as refused:
        routing.parse_queue("dev.dc9", ["dc1", "dc2"])
    assert refused.value.kind == "site"


@given(st.text(), st.sets(st.text(min_size=1), min_size=1))
def test_a_name_is_known_exactly_when_it_is_among_the_names(name: str, known: set[str]) -> None:
    if name in known:
        assert routing.known("task", name, known) == name
    else:
        with pytest.raises(UnknownNameError):
            routing.known("task", name, known)


@pytest.mark.parametrize(
    "text", ["", "1dc", "DC1", "dc1\n", "dc.1", "dc 1", "-dc", "d" * 32, "dç1"]
)
def test_what_could_not_stand_in_a_queue_name_is_no_name(text: str) -> None:
    assert not routing.is_name(text)


@given(names)
def test_what_may_be_a_name_is_one(text: str) -> None:
    assert routing.is_name(text)


@given(st.sets(names, min_size=1, max_size=4))
def test_all_queues_are_named_once(sites: set[str]) -> None:
    queues = routing.all_queues(sites)
    assert len(set(queues)) == len(queues) == len(routing.CAPABILITIES) * (1 + len(sites))
    assert all(routing.parse_queue(queue, sites) for queue in queues)


def test_class_d_alone_is_pinned() -> None:
    assert [effect for effect in EffectClass if routing.must_pin(effect)] == [EffectClass.D]
