"""Deliberate mistakes in the fleet's policy; the simulation has to notice every one."""

import time
from dataclasses import dataclass, replace
from typing import Any

import pytest

from fleet.policy import confirmation, intake, lease, minimal, modes, recovery
from fleet.policy.decision import Decision
from fleet.policy.lease import Lease, Permit
from fleet.policy.matrix import Link, Matrix, link
from fleet.policy.modes import Mode, ModeState
from fleet.policy.recovery import Recovery, Stage
from fleet.policy.timing import TIMING
from fleet.policy.verdict import Kind, Verdict, classify
from probes.watch import state
from tests.simulation.run import simulate

HOURS = 2.0
MOST_SEEDS = 200


@dataclass(frozen=True, slots=True)
class Mutant:
    """`breaks` begins the sentence (after seed and time) with which it is found."""

    name: str
    module: Any
    attribute: str
    wrong: Any
    breaks: str
    faults: str = "all"


def _takes_all(*_: object, slots: int, **__: object) -> tuple[int, str]:
    return slots, "never mind the lease"


def _ends_without_drift(permit: Permit, **_: object) -> float:
    return permit.sent_s + min(permit.ttl_s, TIMING.lease_ttl_s)


def _free_early(held: Lease, *, now_s: float, **_: object) -> bool:
    return held.generation == 0 or now_s - held.granted_s >= TIMING.lease_ttl_s / 2


def _one_witness(matrix: Matrix, *, me: str, subject: str, **kw: Any) -> Verdict:
    """Who does not hear a site itself finds it gone."""
    if me != subject and link(matrix, me, subject) is Link.DOWN:
        return Verdict(subject, Kind.SUSPECT, "not heard here")
    return classify(matrix, me=me, subject=subject, **kw)


def _publishes(deed: object, mode: Mode, **_: object) -> Decision:
    return Decision(True, "why not")


def _at_once(*_: object) -> float:
    return 0.0


_transition, _advance = modes.transition, recovery.advance


def _same_epoch(before: ModeState, mode: Mode, site: str = "") -> ModeState:
    return replace(_transition(before, mode, site), epoch=before.epoch)


def _never_done(before: Recovery, *rest: Any) -> tuple[Recovery, str]:
    after, reason = _advance(before, *rest)
    return (before, "not yet") if after.stage is Stage.COOL_DOWN else (after, reason)


def _any_boot(word: intake.Intake | None, now_s: float, *_: object) -> str:
    """A word from before a start of the machine counts as well."""
    if word is None or word.until_s is None or not now_s < word.until_s:
        return "no word"
    return ""


MUTANTS = (
    Mutant("the holder ignores the lease", intake, "limit", _takes_all, "I5"),
    Mutant("the holder ignores drift", lease, "ends_s", _ends_without_drift, "I5", "lease-loss"),
    Mutant("the lease is free too early", lease, "is_free", _free_early, "I5", "lease-loss"),
    Mutant("a word outlives the boot", intake, "_void", _any_boot, "I5", "lease-loss"),
    Mutant("no witness is needed", state, "classify", _one_witness, "I6"),
    Mutant("minimal mode publishes", minimal, "may", _publishes, "I7"),
    Mutant("the epoch stays", modes, "transition", _same_epoch, "the rules want"),
    Mutant("nothing is waited for", confirmation, "confirm_after_s", _at_once, "away"),
    Mutant("a return never ends", recovery, "advance", _never_done, "L2"),
)


def hunt(mutant: Mutant, patch: pytest.MonkeyPatch, within_s: float = 60.0) -> str:
    """The violation that the mutant leads to; "" if none was found in time."""
    patch.setattr(mutant.module, mutant.attribute, mutant.wrong)
    began_s = time.process_time()
    for seed in range(MOST_SEEDS):
        found = simulate(seed, HOURS, mutant.faults).violation
        if mutant.breaks in found or time.process_time() - began_s > within_s:
            return found if mutant.breaks in found else ""
    return ""
