"""What the control plane's guard writes down: verdicts, modes, leases, recoveries, the standby."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from fleet.control.leases import ask_lease, current_lease, is_live, promised_s
from fleet.control.machines.errors import MachinesAwayError
from fleet.control.machines.protocol import MachineInfo, MachineLease
from fleet.control.modes import ModeKeeper, current_mode
from fleet.control.planned import (
    NotNowError,
    begin_maintenance,
    begin_override,
    end_maintenance,
)
from fleet.control.recovering import RecoveryKeeper
from fleet.control.standby import StandbyKeeper
from fleet.ledger.word import word_to
from fleet.models import (
    ActivationLease,
    Attempt,
    FleetEvent,
    FleetState,
    Site,
    StandbyMonth,
)
from fleet.policy.activation import Act
from fleet.policy.errors import RefusedError
from fleet.policy.lease import Ask
from fleet.policy.matrix import Heard, Row, to_json
from fleet.policy.modes import Mode, ModeState
from fleet.policy.override import Request
from fleet.policy.states import AttemptStatus, RunStatus
from fleet.policy.timing import TIMING
from fleet.policy.verdict import Kind, Verdict
from probes.watch.watcher import Snapshot
from tests.fleet.api_calls import make_run, make_site

pytestmark = pytest.mark.django_db
SITES = ("dc1", "dc2", "dc3")


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(autouse=True)
def sites() -> None:
    for number, name in enumerate(SITES, 1):
        make_site(name, number)


def judged(now: datetime, **kinds: Kind) -> Snapshot:
    """As the watch would have written it."""
    all_kinds = {site: kinds.get(site, Kind.UP) for site in SITES}
    for site, kind in all_kinds.items():
        Site.objects.filter(pk=site).update(verdict=kind.value, verdict_at=now)
    verdicts = {site: Verdict(site, kind, "seen so") for site, kind in all_kinds.items()}
    return Snapshot(0.0, {}, verdicts, {})


def ask(generation: int = 0, *, down: str = "dc1", age_s: float = 1.0, epoch: int = 1) -> Ask:
    return Ask(activator="dc2", down=down, evidence_age_s=age_s, generation=generation, epoch=epoch)


def dc2() -> Site:
    return Site.objects.get(pk="dc2")


class FakeMachines:
    """A provider's machine that obeys at once, or does not answer."""

    def __init__(self, state: str = "suspended") -> None:
        self.state, self.away, self.calls = state, False, list[str]()

    def get(self, machine_id: str) -> MachineInfo:
        if self.away:
            raise MachinesAwayError("no answer")
        return MachineInfo(id=machine_id, name="standby", state=self.state)

    def list(self) -> tuple[MachineInfo, ...]:
        return (self.get("m"),)

    def start(self, machine_id: str, *, nonce: str = "") -> str:
        self.calls.append("start")
        before, self.state = self.state, "started"
        return before

    def stop(self, machine_id: str, *, nonce: str = "") -> None:
        self.calls.append("stop")
        self.state = "stopped"

    def suspend(self, machine_id: str, *, nonce: str = "") -> None:
        self.calls.append("suspend")
        self.state = "suspended"

    def wait(
        self, machine_id: str, state: str, *, timeout_s: float = 60.0, instance_id: str = ""
    ) -> None:
        raise NotImplementedError

    def lease(
        self, machine_id: str, *, ttl_s: int, description: str = "", nonce: str = ""
    ) -> MachineLease:
        raise NotImplementedError

    def release(self, machine_id: str, nonce: str) -> None:
        raise NotImplementedError


# The lease


def test_a_lease_needs_the_control_planes_own_eyes(now: datetime) -> None:
    judged(now, dc1=Kind.SUSPECT)
    refused = ask_lease(dc2(), ask(), now, TIMING)
    assert not refused.answer.granted
    assert promised_s(TIMING) == (0, 0.0)
    judged(now, dc1=Kind.DOWN)
    granted = ask_lease(dc2(), ask(), now, TIMING)
    assert granted.answer.granted, granted.answer.reason
    assert 29 < granted.left_s <= 30
    assert is_live(current_lease(), TIMING)


def test_a_lease_against_a_site_that_is_heard_is_refused(now: datetime) -> None:
    judged(now)
    refused = ask_lease(dc2(), ask(), now, TIMING)
    assert not refused.answer.granted
    assert "up" in refused.answer.reason


def test_a_judgement_that_is_old_is_nobodys(now: datetime) -> None:
    judged(now - timedelta(seconds=11), dc1=Kind.DOWN)
    assert not ask_lease(dc2(), ask(), now, TIMING).answer.granted


def test_an_agent_with_an_older_epoch_is_refused(now: datetime) -> None:
    FleetState.objects.create(pk=1, epoch=7)
    judged(now, dc1=Kind.DOWN)
    refused = ask_lease(dc2(), ask(epoch=6), now, TIMING)
    assert not refused.answer.granted
    assert "epoch" in refused.answer.reason


def test_a_renewal_keeps_its_generation_and_a_new_lease_gets_the_next(now: datetime) -> None:
    judged(now, dc1=Kind.DOWN)
    first = ask_lease(dc2(), ask(), now, TIMING).answer.lease
    renewed = ask_lease(dc2(), ask(first.generation), now, TIMING).answer
    assert renewed.granted
    assert renewed.lease.generation == first.generation
    ActivationLease.objects.update(boot_id="another boot", granted_s=0.0)
    again = ask_lease(dc2(), ask(first.generation), now, TIMING).answer
    assert again.granted
    assert again.lease.generation == first.generation + 1


def test_a_lease_of_another_boot_promises_nothing(now: datetime) -> None:
    judged(now, dc1=Kind.DOWN)
    ask_lease(dc2(), ask(), now, TIMING)
    ActivationLease.objects.update(boot_id="another boot")
    assert promised_s(TIMING)[1] == 0.0


@pytest.mark.parametrize("down", ["dc2", "dc9"])
def test_nonsense_is_refused_at_the_door(now: datetime, down: str) -> None:
    with pytest.raises(RefusedError):
        ask_lease(dc2(), ask(down=down), now, TIMING)


def test_beyond_the_budget_a_person_is_asked(now: datetime) -> None:
    judged(now, dc1=Kind.DOWN)
    StandbyMonth.objects.create(month=f"{now:%Y-%m}", active_s=TIMING.budget_month_s + 1)
    refused = ask_lease(dc2(), ask(), now, TIMING)
    assert not refused.answer.granted
    assert "budget" in refused.answer.reason


def test_a_run_without_a_break_lasts_as_long_as_its_lease(now: datetime) -> None:
    judged(now, dc1=Kind.DOWN)
    first = ask_lease(dc2(), ask(), now, TIMING).answer.lease
    long_ago = now - timedelta(seconds=TIMING.budget_run_s + 1)
    ActivationLease.objects.update(first_granted_at=long_ago, machine="started")
    assert not ask_lease(dc2(), ask(first.generation), now, TIMING).answer.granted
    ActivationLease.objects.update(granted_s=-1000.0)
    assert ask_lease(dc2(), ask(), now, TIMING).answer.granted


# The machine


def keeper(machines: FakeMachines) -> StandbyKeeper:
    return StandbyKeeper(machines, "m", "dc3", TIMING)


def test_the_machine_wakes_at_a_suspicion_and_sleeps_when_it_was_nothing(now: datetime) -> None:
    machines = FakeMachines()
    standby = keeper(machines)
    judged(now)
    assert standby.step(now).act is Act.NONE
    judged(now, dc1=Kind.SUSPECT)
    assert standby.step(now).act is Act.START
    assert standby.step(now).act is Act.NONE
    judged(now)
    assert standby.step(now).act is Act.SUSPEND
    assert machines.calls == ["start", "suspend"]


def test_a_live_lease_keeps_it_awake_and_running_tasks_keep_it_from_sleep(now: datetime) -> None:
    machines = FakeMachines("started")
    standby = keeper(machines)
    judged(now, dc1=Kind.DOWN)
    ask_lease(dc2(), ask(), now, TIMING)
    judged(now)
    assert standby.step(now).act is Act.NONE
    ActivationLease.objects.update(granted_s=-1000.0)
    run = make_run(status=RunStatus.RUNNING)
    Attempt.objects.create(
        run=run,
        number=1,
        token=5,
        queue_name="dev",
        created_at=now,
        site="dc3",
        status=AttemptStatus.RUNNING,
    )
    assert standby.step(now).act is Act.WAIT
    Attempt.objects.update(status=AttemptStatus.SUCCESSFUL)
    assert standby.step(now).act is Act.SUSPEND


def test_a_provider_that_does_not_answer_is_waited_for(now: datetime) -> None:
    machines = FakeMachines()
    machines.away = True
    judged(now, dc1=Kind.DOWN)
    assert keeper(machines).step(now).act is Act.WAIT
    assert "does not answer" in ActivationLease.objects.get().machine_reason


# Modes and recovery


def mode_keeper() -> ModeKeeper:
    return ModeKeeper("dc3", TIMING)


def test_a_site_down_is_a_failover_and_its_return_a_recovery(now: datetime) -> None:
    modes, recovery = mode_keeper(), RecoveryKeeper(TIMING)
    snapshot = judged(now, dc1=Kind.DOWN)
    mode = modes.step(snapshot, now)
    assert (mode.mode, mode.site) == (Mode.FAILOVER, "dc1")
    recovery.step(snapshot, mode, now)
    assert Site.objects.get(pk="dc1").recovery == "catch-up"
    snapshot = judged(now)
    mode = modes.step(snapshot, now)
    assert (mode.mode, mode.site) == (Mode.RECOVERING, "dc1")
    word = word_to(Site.objects.get(pk="dc1"), now)
    assert word["intake"]["share"] == 0.0
    assert word_to(dc2(), now)["intake"] is None
    kinds = list(FleetEvent.objects.order_by("id").values_list("kind", "became"))
    assert ("mode", "failover dc1") in kinds
    assert ("mode", "recovering dc1") in kinds


def test_a_site_lost_again_on_its_way_back_starts_from_the_beginning(now: datetime) -> None:
    Site.objects.filter(pk="dc1").update(recovery="ramp-50", recovery_since=now)
    snapshot = judged(now, dc1=Kind.DOWN)
    mode = mode_keeper().step(snapshot, now)
    RecoveryKeeper(TIMING).step(snapshot, mode, now)
    assert Site.objects.get(pk="dc1").recovery == "catch-up"


def test_a_fenced_site_does_not_pass_for_a_returning_one(now: datetime) -> None:
    """A new lease needs its certificate, also after the site was fenced."""
    judged(now, dc1=Kind.SUSPECT)
    Site.objects.filter(pk="dc1").update(recovery="cool-down")
    assert not ask_lease(dc2(), ask(), now, TIMING).answer.granted


def test_there_is_no_lease_against_a_site_that_is_heard_in_one_direction(now: datetime) -> None:
    judged(now, dc1=Kind.DOWN)
    row = Row(site="dc3", seq=1, epoch=1, heard={"dc1": Heard(heard=True)}, sentinel={})
    Site.objects.filter(pk="dc3").update(row={"row": json.dumps(to_json(row)), "sig": ""})
    refused = ask_lease(dc2(), ask(), now, TIMING)
    assert not refused.answer.granted
    row = Row(site="dc3", seq=2, epoch=1, heard={"dc1": Heard(heard=False)}, sentinel={})
    Site.objects.filter(pk="dc3").update(row={"row": json.dumps(to_json(row)), "sig": ""})
    assert ask_lease(dc2(), ask(), now, TIMING).answer.granted


def test_every_change_of_mode_raises_the_epoch(now: datetime) -> None:
    modes = mode_keeper()
    before = current_mode().epoch
    first = modes.step(judged(now, dc2=Kind.DOWN), now)
    second = modes.step(judged(now), now)
    assert before < first.epoch < second.epoch


def test_who_changed_the_mode_first_wins(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = mode_keeper()
    FleetState.objects.create(pk=1, epoch=5)
    change = ModeKeeper._change

    def overtaken(self: ModeKeeper, *args: object) -> ModeState:
        FleetState.objects.update(epoch=9, mode=Mode.OVERRIDE)
        return change(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(ModeKeeper, "_change", overtaken)
    assert modes.step(judged(now, dc1=Kind.DOWN), now).mode is Mode.OVERRIDE
    assert FleetState.objects.get().epoch == 9
    assert not FleetEvent.objects.filter(kind="mode").exists()


def test_the_recovery_goes_on_where_it_was_after_a_restart(now: datetime) -> None:
    Site.objects.filter(pk="dc1").update(
        recovery="ramp-50", recovery_since=now, observations=following(now)
    )
    RecoveryKeeper(TIMING).step(judged(now), ModeState(mode=Mode.RECOVERING, site="dc1"), now)
    assert Site.objects.get(pk="dc1").recovery == "ramp-50"


def following(now: datetime) -> Mapping[str, object]:
    return {"broker": {"role": "replica"}, "epoch": 1, "clock_offset_s": 0.0}


# Planned stops and overrides


def test_a_planned_stop_drains_its_site_and_ends_by_itself(now: datetime) -> None:
    judged(now)
    begin_maintenance("dc1", for_s=120, reason="new disk", by="ann", now=now)
    assert word_to(Site.objects.get(pk="dc1"), now)["intake"]["share"] == 0.0
    assert word_to(Site.objects.get(pk="dc1"), now)["maintenance_left_s"] == 120
    assert word_to(dc2(), now)["maintenance_left_s"] == 0
    mode = mode_keeper().step(judged(now), now)
    assert (mode.mode, mode.site) == (Mode.MAINTENANCE, "dc1")
    later = now + timedelta(seconds=121)
    assert word_to(Site.objects.get(pk="dc1"), later)["intake"] is None


@pytest.mark.parametrize(
    ("site", "for_s", "reason", "words"),
    [
        ("dc1", 7200, "", "give a reason"),
        ("dc1", 5, "x", "--for 2h"),
        ("dc9", 7200, "x", "no site"),
        ("dc2", 7200, "x", "dc1 is down"),
    ],
)
def test_a_planned_stop_that_cannot_be_is_refused_with_the_reason(
    now: datetime, site: str, for_s: float, reason: str, words: str
) -> None:
    judged(now, dc1=Kind.DOWN)
    with pytest.raises(NotNowError, match=words):
        begin_maintenance(site, for_s=for_s, reason=reason, by="ann", now=now)


def test_ending_what_is_not_there_says_so(now: datetime) -> None:
    with pytest.raises(NotNowError, match="no planned stop of dc1"):
        end_maintenance("dc1", by="ann", now=now)


def override(**changes: object) -> Request:
    usual: dict[str, object] = {
        "epoch": 1,
        "assert_down": ("dc1", "dc2"),
        "typed": ("dc1", "dc2"),
        "reason": "both owners called",
        "ttl_s": 3600.0,
        "by": "ann",
    }
    return Request(**(usual | changes))  # type: ignore[arg-type]


def test_an_override_fences_what_the_asserted_sites_hold(now: datetime) -> None:
    judged(now, dc1=Kind.UNKNOWN, dc2=Kind.UNKNOWN)
    run = make_run(
        status=RunStatus.RUNNING, token=5, effect="A", attempts=1, max_attempts=3, open_attempt=True
    )
    Attempt.objects.create(
        run=run,
        number=1,
        token=5,
        queue_name="dev",
        created_at=now,
        site="dc1",
        status=AttemptStatus.RUNNING,
    )
    row = begin_override(override(), now)
    assert row.epoch == 2
    assert FleetState.objects.get().epoch == 2
    run.refresh_from_db()
    assert run.status == RunStatus.READY


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reason": " "}, "give a reason"),
        ({"typed": ("dc1",)}, "type the names"),
        ({"epoch": 3}, "epoch"),
        ({"ttl_s": 1e9}, "--ttl 60m"),
    ],
)
def test_an_override_without_what_it_needs_is_refused(
    now: datetime, changes: dict[str, object], words: str
) -> None:
    judged(now, dc1=Kind.UNKNOWN, dc2=Kind.UNKNOWN)
    with pytest.raises(NotNowError, match=words):
        begin_override(override(**changes), now)


def test_a_site_that_is_heard_cannot_be_asserted_down(now: datetime) -> None:
    judged(now, dc2=Kind.UNKNOWN)
    with pytest.raises(NotNowError, match="dc1"):
        begin_override(override(), now)
