"""The site's own mode, from what three watches conclude, and what its workers may take then."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.policy.errors import StorageError
from fleet.policy.intake import limit
from fleet.policy.matrix import Row
from fleet.policy.modes import Mode
from fleet.policy.timing import TIMING
from probes.agent.modes import LocalMode
from probes.agent.word import WORD_HOLDS_S, Word
from probes.watch.signed import SignedRow
from probes.watch.state import OwnState, Snapshot, Watch
from tasks.boot import boot_id, boot_s
from tasks.box import Box
from tasks.intake import IntakeFile, IntakeGate
from tasks.settings import load_settings
from tasks.wire import Ack

SITES, CONTROL = ("dc1", "dc2", "dc3"), "dc3"
OWN = OwnState(broker="ok", workers_age_s=0.0)
EPOCH = 7
CONFIRM = int(TIMING.confirm_s)


class Fleet:
    """The watches of all sites on one clock; `cut` holds the (from, to) that do not get through."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.cut: set[tuple[str, str]] = set()
        self.watches = {site: Watch(site, SITES, CONTROL, unsigned, 1) for site in SITES}
        self.snapshots: dict[str, Snapshot] = {}
        self.beat(20)

    def beat(self, times: int = 1) -> None:
        for _ in range(times):
            self.now_s += TIMING.beat_s
            for site, watch in self.watches.items():
                peers = [p for p in SITES if p != site and (site, p) not in self.cut]
                self.snapshots[site], beats = watch.beat(OWN, self.now_s, peers)
                for peer, beat in beats.items():
                    self.watches[peer].take(beat, self.now_s)
            for lan in ("dc1", "dc2"):
                if not {(lan, CONTROL), (CONTROL, lan)} & self.cut:
                    self.watches[lan].public_path(CONTROL, self.now_s)
                    self.watches[CONTROL].public_path(lan, self.now_s)

    def isolate(self, site: str) -> None:
        self.cut |= {(site, p) for p in SITES} | {(p, site) for p in SITES}


def unsigned(row: Row) -> SignedRow:
    return SignedRow(row, "", "")


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    made = Box(load_settings(site="dc1", box="mini-1", state_dir=tmp_path))
    yield made
    made.database.close()


class Lan:
    """DC1's agent, as far as modes go."""

    def __init__(self, box: Box, fleet: Fleet) -> None:
        self.fleet, self.box = fleet, box
        self.local = LocalMode(box, CONTROL, TIMING)
        self.word = Word(box, None)

    def beat(self, times: int) -> Mode:
        for _ in range(times):
            self.fleet.beat()
            self.local.step(self.fleet.snapshots["dc1"], EPOCH)
            self.word.alone(self.local.isolation())
        return self.local.mode

    def lose_control(self) -> None:
        self.fleet.isolate(CONTROL)

    def slots(self) -> tuple[int, str]:
        word = IntakeFile(self.box.settings.state_dir).read()
        return limit(word, slots=4, now_s=boot_s(), boot_id=boot_id(), standby=False)

    def takes(self) -> bool:
        file = IntakeFile(self.box.settings.state_dir)
        return IntakeGate(file, slots=2, standby=False, busy=lambda: 0).may_take()


@pytest.fixture
def lan(box: Box) -> Lan:
    return Lan(box, Fleet())


def ack(share: float | None = None) -> Ack:
    word = {"share": share, "pinned_only": False, "reason": "coming back"}
    return Ack(ack=0, epoch=EPOCH, intake=None if share is None else word)


def test_a_calm_fleet_is_normal(lan: Lan) -> None:
    assert lan.beat(5) is Mode.NORMAL
    assert lan.local.isolation() == ""
    assert lan.takes()


def test_a_site_that_hears_nobody_is_an_island_after_confirmation_and_normal_when_heard_again(
    lan: Lan, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "probes.agent.modes")
    lan.fleet.isolate("dc1")
    assert lan.beat(CONFIRM) is Mode.NORMAL
    assert lan.beat(12) is Mode.ISLAND
    lan.fleet.cut.clear()
    assert lan.beat(20) is Mode.NORMAL
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "mode island: nobody was heard for 30 s",
        "mode normal: the control plane is heard again; its word counts",
    ]
    assert lan.local._state.epoch == EPOCH  # a LAN's own view never counts it up


def test_with_the_other_lan_alone_a_site_goes_on_without_the_control_plane(lan: Lan) -> None:
    lan.lose_control()
    assert lan.beat(CONFIRM) is Mode.NORMAL
    assert lan.beat(12) is Mode.LAN_ONLY
    assert lan.takes()
    lan.fleet.cut.clear()
    assert lan.beat(20) is Mode.NORMAL


def test_from_an_island_to_the_other_lan(lan: Lan) -> None:
    lan.fleet.isolate("dc1")
    lan.lose_control()
    assert lan.beat(CONFIRM + 12) is Mode.ISLAND
    lan.fleet.cut -= {("dc1", "dc2"), ("dc2", "dc1")}
    lan.beat(10)
    assert lan.takes()  # a peer is heard: the isolation is over, whatever the mode is called
    assert lan.beat(CONFIRM + 12) is Mode.LAN_ONLY


def test_an_agent_that_starts_on_an_island_knows_it_from_the_journal(lan: Lan) -> None:
    lan.fleet.isolate("dc1")
    lan.beat(CONFIRM + 12)
    again = Lan(lan.box, lan.fleet)
    assert again.local.mode is Mode.ISLAND
    assert again.beat(1) is Mode.ISLAND
    lan.fleet.cut.clear()
    assert again.beat(20) is Mode.NORMAL
    assert Lan(lan.box, lan.fleet).local.mode is Mode.NORMAL


def test_a_mode_counts_although_the_journal_cannot_keep_it(
    lan: Lan, monkeypatch: pytest.MonkeyPatch
) -> None:
    lan.fleet.isolate("dc1")
    lan.fleet.beat(CONFIRM + 12)

    def full(*_: object, **__: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(lan.box.database, "write", full)
    with pytest.raises(StorageError):
        lan.beat(1)
    assert lan.local.mode is Mode.ISLAND


def test_while_it_is_alone_its_workers_take_nothing_through_the_broker(lan: Lan) -> None:
    lan.fleet.isolate("dc1")
    lan.beat(CONFIRM)
    assert lan.takes()
    lan.beat(12)
    assert not lan.takes()
    slots, reason = lan.slots()
    assert (slots, reason.partition(":")[0]) == (0, "dc1 is cut off")
    lan.fleet.cut.clear()
    lan.beat(10)
    assert lan.takes()
    assert lan.slots()[1] == "all slots: no word from the control plane"


def test_the_first_word_of_the_control_plane_counts_more(lan: Lan) -> None:
    lan.word.take(ack(share=0.25))
    lan.fleet.isolate("dc1")
    lan.beat(CONFIRM + 12)
    assert lan.slots()[0] == 0
    lan.word.take(ack(share=0.5))
    assert lan.slots() == (2, "coming back")
    lan.word.alone("dc1 is cut off")  # a look at the verdicts from before this word
    lan.word.alone("")
    assert lan.slots() == (2, "coming back")
    lan.word.take(ack())
    assert lan.slots() == (4, "all slots: no word from the control plane")


def test_being_alone_is_said_again_before_it_runs_out_and_runs_out_without_an_agent(
    lan: Lan, monkeypatch: pytest.MonkeyPatch
) -> None:
    began_s = boot_s()
    moment = [began_s]
    monkeypatch.setattr("probes.agent.word.boot_s", lambda: moment[0])
    file = IntakeFile(lan.box.settings.state_dir)
    ends = []
    for after_s in (0.0, 10.0, 40.0):
        moment[0] = began_s + after_s
        lan.word.alone("dc1 is cut off")
        word = file.read()
        assert word is not None
        ends.append(round(word.until_s - began_s) if word.until_s else None)
    assert ends == [WORD_HOLDS_S, WORD_HOLDS_S, 40 + WORD_HOLDS_S]
    gone_s = began_s + 40 + WORD_HOLDS_S + 1
    assert limit(file.read(), slots=4, now_s=gone_s, boot_id=boot_id(), standby=False)[0] == 4
