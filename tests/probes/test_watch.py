"""Three watches that speak over real UDP on loopback, on one clock that the test turns."""

import base64
import json
import socket
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fleet.policy.matrix import Row
from fleet.policy.timing import TIMING
from fleet.policy.verdict import Kind
from probes.watch.datagram import Beat, decode, encode
from probes.watch.signed import RowReader, RowRefusedError, sign_row
from probes.watch.watcher import OwnState, Place, Watcher

SITES = ("dc1", "dc2", "dc3")
CONTROL = "dc3"


def public(key: Ed25519PrivateKey) -> str:
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.b64encode(raw).decode()


def free_address() -> tuple[str, int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        host, port = probe.getsockname()
        return str(host), int(port)


class Fleet:
    """The watches of all sites; `cut` holds the (from, to) pairs that do not get through."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.cut: set[tuple[str, str]] = set()
        self.own = {site: OwnState(broker="ok", workers_age_s=0.0) for site in SITES}
        self.keys = {site: Ed25519PrivateKey.generate() for site in SITES}
        addresses = {site: free_address() for site in SITES}
        keys = {site: public(key) for site, key in self.keys.items()}
        self.watches = {
            site: Watcher(
                Place(
                    site=site,
                    sites=SITES,
                    control=CONTROL,
                    address=addresses[site],
                    peers={peer: addresses[peer] for peer in SITES if peer != site},
                    keys=keys,
                ),
                self.keys[site],
                lambda site=site: self.own[site],  # type: ignore[misc]
                first_seq=1,
                clock=lambda: self.now_s,
            )
            for site in SITES
        }

    def beat(self, times: int = 1) -> None:
        """One second passes; everybody sends, everybody hears what was not cut."""
        for _ in range(times):
            self.now_s += TIMING.beat_s
            for site, watch in self.watches.items():
                hidden = {p: a for p, a in watch._place.peers.items() if (site, p) not in self.cut}
                whole, watch._place = watch._place, _with_peers(watch._place, hidden)
                watch.beat()
                watch._place = whole
            self._public_paths()
            for watch in self.watches.values():
                watch._socket.settimeout(0.02)
                for _ in SITES:
                    watch.listen()

    def _public_paths(self) -> None:
        for site in SITES:
            if site != CONTROL and not {(site, CONTROL), (CONTROL, site)} & self.cut:
                self.watches[site].public_path(CONTROL)
                self.watches[CONTROL].public_path(site)

    def isolate(self, site: str) -> None:
        self.cut |= {(site, p) for p in SITES} | {(p, site) for p in SITES}

    def kinds(self, at: str) -> dict[str, Kind]:
        return {s: v.kind for s, v in self.watches[at].snapshot().verdicts.items()}

    def close(self) -> None:
        for watch in self.watches.values():
            watch.close()


def _with_peers(place: Place, peers: dict[str, tuple[str, int]]) -> Place:
    return Place(
        site=place.site,
        sites=place.sites,
        control=place.control,
        address=place.address,
        peers=peers,
        keys=place.keys,
    )


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    made = Fleet()
    made.beat(20)
    yield made
    made.close()


def test_a_calm_fleet_is_up_everywhere(fleet: Fleet) -> None:
    for site in SITES:
        assert fleet.kinds(site) == dict.fromkeys(SITES, Kind.UP)


def test_an_isolated_site_is_suspected_within_nine_seconds_and_down_after_confirmation(
    fleet: Fleet,
) -> None:
    fleet.isolate("dc1")
    fleet.beat(9)
    assert fleet.kinds("dc2")["dc1"] is Kind.SUSPECT
    assert fleet.kinds("dc3")["dc1"] is Kind.SUSPECT
    fleet.beat(int(TIMING.confirm_s) + 2)
    assert fleet.kinds("dc2")["dc1"] is Kind.DOWN
    assert fleet.kinds("dc3")["dc1"] is Kind.DOWN
    assert fleet.kinds("dc1")["dc1"] is Kind.SELF_ISOLATED


def test_a_cut_of_one_link_takes_nobody_down(fleet: Fleet) -> None:
    fleet.cut |= {("dc1", "dc2"), ("dc2", "dc1")}
    fleet.beat(60)
    for site in SITES:
        assert Kind.DOWN not in fleet.kinds(site).values()
        assert Kind.SUSPECT not in fleet.kinds(site).values()
    assert fleet.kinds("dc3")["dc1"] is Kind.LINK_DOWN


def test_a_site_that_stops_as_planned_is_never_down(fleet: Fleet) -> None:
    fleet.own["dc1"] = OwnState(broker="ok", workers_age_s=0.0, maintenance_left_s=100.0)
    fleet.beat(2)
    fleet.isolate("dc1")
    fleet.beat(90)
    assert fleet.kinds("dc3")["dc1"] is Kind.MAINTENANCE
    fleet.beat(60)
    assert fleet.kinds("dc3")["dc1"] is Kind.DOWN


def test_rows_travel_through_the_third_site_only_when_they_are_missed(fleet: Fleet) -> None:
    assert not fleet.watches["dc1"].snapshot().matrix["dc1"].row.heard["dc2"].relayed
    fleet.cut |= {("dc1", "dc2"), ("dc2", "dc1")}
    fleet.beat(15)
    assert fleet.watches["dc1"].snapshot().matrix["dc1"].row.heard["dc2"].relayed
    assert not fleet.watches["dc1"].snapshot().matrix["dc1"].row.heard["dc2"].heard


def test_a_site_that_is_back_is_up_again(fleet: Fleet) -> None:
    fleet.isolate("dc2")
    fleet.beat(50)
    assert fleet.kinds("dc3")["dc2"] is Kind.DOWN
    fleet.cut.clear()
    fleet.beat(12)
    assert fleet.kinds("dc3")["dc2"] is Kind.UP
    assert fleet.kinds("dc2") == dict.fromkeys(SITES, Kind.UP)


def test_a_row_that_its_site_did_not_sign_is_refused_and_counted(fleet: Fleet) -> None:
    forged = sign_row(
        fleet.keys["dc2"], Row(site="dc1", seq=1 << 60, epoch=0, heard={}, sentinel={})
    )
    host, port = fleet.watches["dc3"]._place.address
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(encode(Beat(forged)), (host, port))
    before = fleet.watches["dc3"].refused
    fleet.watches["dc3"].listen()
    assert fleet.watches["dc3"].refused == before + 1
    fleet.beat(3)
    assert fleet.watches["dc3"].snapshot().matrix["dc1"].row.seq < 1 << 60


def test_an_old_row_sent_again_proves_nothing(fleet: Fleet) -> None:
    kept = fleet.watches["dc1"].own_row()
    assert kept is not None
    fleet.isolate("dc1")
    fleet.beat(3)
    for _ in range(60):
        fleet.beat(1)
        fleet.watches["dc3"].take_rows([{**kept, "age_ms": 0}])
    assert fleet.kinds("dc3")["dc1"] is Kind.DOWN


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'{"v": 2}',
        b'{"v": 1}',
        b'{"v": 1, "own": {"row": 5, "sig": "x"}}',
        b'{"v": 1, "own": {"row": "{}", "sig": "!"}}',
        json.dumps({"v": 1, "own": []}).encode(),
        b"[" * 3000,
    ],
)
def test_nonsense_is_refused(data: bytes) -> None:
    with pytest.raises(RowRefusedError):
        decode(data, RowReader({"dc1": public(Ed25519PrivateKey.generate())}))
