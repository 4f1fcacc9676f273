"""The fleet's functions about sites and leases, asked in ticks and small numbers.

Every answer is worked out once. A lease or a permit is named by 1 + its activator, 0 is none.
"""

from functools import cache

from fleet.policy.budget import Spent
from fleet.policy.confirmation import Memory
from fleet.policy.lease import Ask, Lease, Own, Permit
from fleet.policy.modes import Evidence, Mode, ModeState, broken_invariants
from fleet.policy.recovery import NEEDS_STANDBY, Facts, Recovery, Stage
from fleet.policy.verdict import Kind, Verdict
from tests.model.place import LANS, SITES, A, B, C, matrix, other
from tests.model.rules import Rules

TICK_S = 10.0
NOW_S = 10_000.0
#: A suspicion that has been declared; below it, ticks for which it has been seen.
DECLARED = 4
#: The stages of a recovery that make a difference here.
AT_HOME, NEEDS_HELP, COOLS_DOWN = range(3)
STAGES = (Stage.DONE, Stage.CATCH_UP, Stage.COOL_DOWN)
NORMAL, FAILOVER_A, FAILOVER_B, MINIMAL, RECOVERING_A, RECOVERING_B = range(6)
MODES = (
    (Mode.NORMAL, ""),
    (Mode.FAILOVER, SITES[A]),
    (Mode.FAILOVER, SITES[B]),
    (Mode.MINIMAL, ""),
    (Mode.RECOVERING, SITES[A]),
    (Mode.RECOVERING, SITES[B]),
)
FIT = Facts(
    clock_offset_s=0.0,
    version_ok=True,
    epoch_ok=True,
    replica_ok_for_s=60.0,
    unsent_entries=0,
    open_attempts_unresolved=0,
    canaries_done=5,
    canaries_failed=0,
    error_share=0.0,
    p95_ratio=1.0,
    may_return=True,
)


class Calls:
    """The rules, each answer kept."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.verdict = cache(self._verdict)
        self.remembered = cache(self._remembered)
        self.decided = cache(self._decided)
        self.asked = cache(self._asked)
        self.freed = cache(self._freed)
        self.promise = cache(self._promise)
        self.permitted = cache(self._permitted)
        self.recovered = cache(self._recovered)

    def _verdict(self, links: int, lans: int, me: int, subject: int) -> Kind:
        seen = matrix(links, lans, me)
        return self.rules.classify(
            seen, me=SITES[me], subject=SITES[subject], sites=SITES, control=SITES[C]
        ).kind

    def _remembered(self, n: int, kind: Kind) -> tuple[int, Kind]:
        """The production memory, made from the number of ticks, and back."""
        since_s = NOW_S - TICK_S * max(n, 1)
        memory = Memory(
            kind=Kind.SUSPECT if n else Kind.UP,
            since_s=since_s,
            suspected=n > 0,
            declared=n == DECLARED,
            last_down_s=since_s if n == DECLARED else None,
        )
        after, counted = self.rules.remember(memory, Verdict("", kind, ""), NOW_S)
        if after.declared:
            return DECLARED, counted.kind
        if counted.kind is not Kind.SUSPECT or after.since_s is None:
            return 0, counted.kind
        return 1 + int((NOW_S - after.since_s) // TICK_S), counted.kind

    def _decided(
        self, mode: int, kind_a: Kind, kind_b: Kind, alone: int, back: tuple[int, int], lease: int
    ) -> tuple[int, str]:
        evidence = Evidence(
            me=SITES[C],
            control=SITES[C],
            kinds={SITES[A]: kind_a, SITES[B]: kind_b},
            alone_s=alone * TICK_S,
            lease_free=not lease,
            lease_down=SITES[other(lease - 1)] if lease else "",
            recovering={SITES[lan]: STAGES[back[lan]] for lan in LANS if back[lan]},
        )
        before = ModeState(mode=MODES[mode][0], site=MODES[mode][1], epoch=1)
        after, _reason = self.rules.next_mode(before, evidence)
        broken = "; ".join(broken_invariants(before, after, evidence))
        if (after.mode, after.site) != MODES[mode] and after.epoch <= before.epoch:
            broken = "I8: the mode changed and the epoch did not rise"
        return MODES.index((after.mode, after.site)), broken

    def _asked(
        self, lan: int, lease: int, age: int, void: bool, own: tuple[Kind, bool, bool, bool]
    ) -> tuple[bool, bool]:
        """Granted, and whether anew."""
        held = self._lease(lease, age, void)
        mine = lease == lan + 1
        request = Ask(
            activator=SITES[lan],
            down=SITES[other(lan)],
            evidence_age_s=1.0,
            generation=held.generation if mine else 0,
            epoch=1,
        )
        view = Own(
            kind_of_down=own[0],
            confirmed=own[1],
            hears_activator=True,
            hears_down=own[2],
            ramping=own[3],
        )
        now_s = self._grantor_s(age, void)
        answer = self.rules.ask(
            held, request, view, now_s=now_s, boot_id="now", epoch=1, spent=Spent()
        )
        return answer.granted, answer.lease.generation != held.generation

    def _lease(self, lease: int, age: int, void: bool) -> Lease:
        """Generation 5 stands for all; 0 for none."""
        if not lease:
            return Lease()
        return Lease(
            generation=5,
            activator=SITES[lease - 1],
            down=SITES[other(lease - 1)],
            epoch=1,
            granted_s=NOW_S - age * TICK_S,
            boot_id="before" if void else "now",
        )

    def _grantor_s(self, age: int, void: bool) -> float:
        """After a boot the clock has begun again, and the age counts from there."""
        return age * TICK_S if void else NOW_S

    def _freed(self, lease: int, age: int, void: bool) -> bool:
        held, now_s = self._lease(lease, age, void), self._grantor_s(age, void)
        return self.rules.is_free(held, now_s=now_s, boot_id="now")

    def _promise(self, lease: int, age: int, void: bool) -> int:
        """Ticks that the grantor promises."""
        held, now_s = self._lease(lease, age, void), self._grantor_s(age, void)
        return int(self.rules.left_s(held, now_s=now_s, boot_id="now") // TICK_S)

    def _permitted(self, promised: int, age: int, stale: bool) -> bool:
        permit = Permit(
            generation=5,
            sent_s=NOW_S - age * TICK_S,
            boot_id="before" if stale else "now",
            ttl_s=promised * TICK_S,
        )
        return bool(self.rules.may_start(permit, now_s=NOW_S, boot_id="now").allowed)

    def _recovered(self, group: int) -> tuple[int, Stage]:
        """The next group of stages, when the site has been fit for long enough in each."""
        stage = STAGES[group]
        while _group(stage) == group:
            after, _reason = self.rules.recover(Recovery(stage=stage), FIT, NOW_S)
            stage = after.stage
        return _group(stage), stage


def _group(stage: Stage) -> int:
    if stage in NEEDS_STANDBY:
        return NEEDS_HELP
    return COOLS_DOWN if stage is Stage.COOL_DOWN else AT_HOME
