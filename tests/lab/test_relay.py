"""Which frames a slow link holds back, for how long, and which it loses."""

import socket
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.lab.faults.relay import VNET_HEADER_BYTES, Delay

IPV4, ARP = 0x0800, 0x0806


def frame(source: str, destination: str, kind: int = IPV4) -> bytes:
    """A frame as the relay reads it."""
    ethernet = bytes(12) + kind.to_bytes(2, "big")
    packet = bytes(12) + socket.inet_aton(source) + socket.inet_aton(destination)
    return bytes(VNET_HEADER_BYTES) + ethernet + packet


def slow(*, jitter_s: float = 0.0, loss: float = 0.0, chance: float = 0.5) -> Delay:
    return Delay(
        peers=frozenset({socket.inet_aton("10.66.2.1")}),
        delay_s=0.1,
        jitter_s=jitter_s,
        loss=loss,
        chance=lambda: chance,
    )


@pytest.mark.parametrize(
    ("passing", "due_s"),
    [
        (frame("10.66.1.1", "10.66.2.1"), 5.1),
        (frame("10.66.2.1", "10.66.1.1"), 5.1),
        (frame("10.66.1.1", "10.66.3.1"), 5.0),
        (frame("10.66.1.1", "10.66.2.1", ARP), 5.0),
        (b"", 5.0),
    ],
    ids=["to the peer", "from the peer", "to another site", "no IPv4", "empty"],
)
def test_only_packets_of_the_link_are_held_back(passing: bytes, due_s: float) -> None:
    assert slow().due_s(passing, 5.0, 0) == pytest.approx(due_s)


def test_jitter_comes_on_top() -> None:
    late = slow(jitter_s=0.4).due_s(frame("10.66.1.1", "10.66.2.1"), 5.0, 0)
    assert late == pytest.approx(5.3)


@pytest.mark.parametrize(("chance", "is_lost"), [(0.09, True), (0.1, False)])
def test_as_many_are_lost_as_asked(chance: float, is_lost: bool) -> None:
    due_s = slow(loss=0.1, chance=chance).due_s(frame("10.66.1.1", "10.66.2.1"), 5.0, 0)
    assert (due_s is None) is is_lost


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 1)), min_size=1))
def test_packets_never_overtake_each_other(steps: list[tuple[float, float, int]]) -> None:
    now_s, before = 0.0, {0: 0.0, 1: 0.0}
    delay = slow(jitter_s=2.0)
    for wait_s, chance, direction in steps:
        now_s += wait_s
        delay.chance = partial(float, chance)
        due_s = delay.due_s(frame("10.66.1.1", "10.66.2.1"), now_s, direction)
        assert due_s is not None
        assert due_s >= max(before[direction], now_s + 0.1)
        before[direction] = due_s
