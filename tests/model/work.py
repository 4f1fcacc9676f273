"""The part of the model with one task: its run in the ledger, messages, journals, processes.

Nothing here knows how long work takes: a message may lie for ever, a worker may run or be frozen
for as long as it likes. What the rest of the fleet allows at a moment is a `Scene`. What nothing
holds up happens at once: agents report, homes issue and publish, dead processes are noticed.
"""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from fleet.policy.effects import AfterLoss, EffectClass
from fleet.policy.minimal import Deed
from fleet.policy.modes import Mode
from fleet.policy.reconcile import Action, Observed
from fleet.policy.states import AttemptStatus, RunEvent, RunStatus
from fleet.policy.tokens import home_of
from tasks.journal.claims import ClaimVerdict
from tests.model.journal import FAILED, LOST, RUNNING, SUCCEEDED
from tests.model.place import SITES, A, C
from tests.model.rules import Rules

MAX_ATTEMPTS = 2
CONTROL_HOME = 0
#: The process of an older attempt, beside which a newer one was started.
OLD_NONE, OLD_RUNS, OLD_SUCCEEDED, OLD_FAILED = range(4)
#: The attempt that is under way.
NO_ATTEMPT, CREATED, PUBLISHED = range(3)
OVER = frozenset(set(RunStatus) - {RunStatus.READY, RunStatus.RUNNING})


class Scene(NamedTuple):
    """What a moment allows: who reaches the broker, whose reports arrive, who is alive, whether
    the standby believes it may start work, whether it really may, and the mode."""

    broker: tuple[bool, bool, bool]
    reports: tuple[bool, bool, bool]
    alive: tuple[bool, bool, bool]
    may_run: bool
    leased: bool
    mode: Mode


class Place(NamedTuple):
    """One site's journal row of the run, whether all of it was reported, whether its process
    runs, and the process of an older attempt that was never told to stop."""

    token: int = 0
    row: int = RUNNING
    told: bool = True
    process: bool = False
    old: int = OLD_NONE


class Work(NamedTuple):
    """`waiting` is a bit for each attempt whose message lies in the broker, `newest` the newest
    token that took effect, `starts` whether it was ever started (class D)."""

    effect: EffectClass
    status: RunStatus = RunStatus.READY
    token: int = 0
    attempt: int = NO_ATTEMPT
    waiting: int = 0
    newest: int = 0
    started: bool = False
    places: tuple[Place, Place, Place] = (Place(), Place(), Place())


class Move(NamedTuple):
    """`faults` is what it costs of the budget of faults."""

    label: str
    after: Work
    broken: str = ""
    faults: int = 0


class WorkModel:
    """All steps of one task in a scene, under the given rules."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.may = cache(self._may)

    def moves(self, w: Work, scene: Scene) -> Iterator[Move]:
        """Every next step, each followed by what happens by itself."""
        for move in self._choices(w, scene):
            after, broken = self.settle(move.after, scene)
            yield move._replace(after=after, broken=move.broken or broken)

    def settle(self, w: Work, scene: Scene) -> tuple[Work, str]:
        """What nothing holds up: agents report, dead processes are noticed, the home issues."""
        for step in (self._issued, self._published, self._noticed, self._reported):
            after, broken = step(w, scene)
            if broken:
                return after, broken
            if after != w:
                return self.settle(after, scene)
        return w, ""

    def _choices(self, w: Work, scene: Scene) -> Iterator[Move]:
        yield from self._home(w, scene)
        for token in _bits(w.waiting):
            yield Move("its message is lost", w._replace(waiting=w.waiting & ~(1 << token)), "", 1)
        for site in range(3):
            if scene.alive[site]:
                yield from self._worker(w, scene, site)

    # -- the home: issue, publish, lose ------------------------------------------------------

    def _issued(self, w: Work, scene: Scene) -> tuple[Work, str]:
        before = w.token > 0
        ready = w.status is RunStatus.READY and w.attempt == NO_ATTEMPT
        full = w.token == MAX_ATTEMPTS
        if not ready or full or not self.may(Deed.NEW_ATTEMPT, scene.mode, before, w.effect):
            return w, ""
        old = self.rules.make_token(w.token, CONTROL_HOME) if w.token else 0
        new = self.rules.make_token(w.token + 1, CONTROL_HOME)
        broken = "I8: the new token is not newer" if new <= old else ""
        if home_of(new) != CONTROL_HOME:
            broken = "I9: the token is another home's"
        if before:
            broken = broken or _minimal(scene, "I7: a further attempt was issued")
        return w._replace(token=w.token + 1, attempt=CREATED), broken

    def _published(self, w: Work, scene: Scene) -> tuple[Work, str]:
        first = w.attempt == CREATED and scene.broker[C]
        if not first or not self.may(Deed.PUBLISH_NEW, scene.mode, w.token > 1, w.effect):
            return w, ""
        return _waits(w)._replace(attempt=PUBLISHED), _minimal(scene, "I7: a run was published")

    def _home(self, w: Work, scene: Scene) -> Iterator[Move]:
        if w.attempt == PUBLISHED and w.status is RunStatus.READY and scene.broker[C]:
            yield from self._publish_again(w, scene)
        if w.status is RunStatus.RUNNING:
            yield from self._lose(w, scene)

    def _publish_again(self, w: Work, scene: Scene) -> Iterator[Move]:
        observed = Observed(
            status=AttemptStatus.PUBLISHED,
            published_age_s=60.0,
            times_published=1,
            seen_age_s=None,
            in_broker=bool(w.waiting >> w.token & 1),
        )
        again = self.rules.decide(observed).action is Action.PUBLISH_AGAIN
        if again and self.may(Deed.PUBLISH_AGAIN, scene.mode, True, w.effect):
            broken = _minimal(scene, "I7: an attempt was published again")
            yield Move("is published again", _waits(w), broken)

    def _lose(self, w: Work, scene: Scene) -> Iterator[Move]:
        """Its site is silent; a site that speaks may only seem so: its worker is frozen."""
        at = next((s for s in range(3) if w.places[s].token == w.token), C)
        observed = Observed(
            status=AttemptStatus.RUNNING,
            published_age_s=60.0,
            times_published=1,
            seen_age_s=60.0,
            in_broker=False,
        )
        lost = self.rules.decide(observed).action is Action.LOSE
        if not lost or not self.may(Deed.EXPIRE_LAN_LEASE, scene.mode, True, w.effect):
            return
        broken = _minimal(scene, "I7: a LAN's claim was taken for lost")
        silent = not scene.reports[at]
        label = "is taken for lost" if silent else f"freezes at {SITES[at]}, is taken for lost"
        yield Move(label, self._after_loss(w), broken, 0 if silent else 1)

    def _after_loss(self, w: Work) -> Work:
        decision = self.rules.after_loss(w.effect, w.token, MAX_ATTEMPTS)
        event = RunEvent.LOSE if decision.action is AfterLoss.NEXT_ATTEMPT else RunEvent.BURY
        return w._replace(status=self.rules.move(w.status, event), attempt=NO_ATTEMPT)

    # -- a site: take, run -------------------------------------------------------------------

    def _worker(self, w: Work, scene: Scene, site: int) -> Iterator[Move]:
        if scene.broker[site] and not (self.rules.must_pin(w.effect) and site != A):
            for token in _bits(w.waiting):
                taken = w._replace(waiting=w.waiting & ~(1 << token))
                yield from self._take(taken, scene, site, token, 0)
                yield from self._take(w, scene, site, token, 1)
        place, name = w.places[site], SITES[site]
        if place.process:
            yield self._end(w, site, place.token, f"attempt {place.token} ends at {name}")
            dead = self._end(w, site, place.token, f"attempt {place.token} takes effect at {name}")
            unwritten = _put(dead.after, site, place._replace(process=False))
            yield Move(f"{dead.label}, its worker dies", unwritten, dead.broken, 1)
        if place.old == OLD_RUNS:
            yield self._end(w, site, 1, f"the old attempt ends at {name}")

    def _take(self, w: Work, scene: Scene, site: int, token: int, faults: int) -> Iterator[Move]:
        if site == C and not scene.may_run:
            return
        twice = ", and delivered once more" if faults else ""
        label = f"attempt {token} is taken at {SITES[site]}{twice}"
        verdict = self._verdict(w.places[site], token, w.effect)
        if verdict is ClaimVerdict.CLAIMED:
            broken = "I5: the standby started work outside a lease"
            broken = broken if site == C and not scene.leased else ""
            if w.effect is EffectClass.D and w.started:
                broken = "I3: a task of class D was started twice"
            yield Move(label, _claimed(w, site, token), broken, faults)
        elif verdict in (ClaimVerdict.DONE, ClaimVerdict.REPEATED):
            answered = w.places[site]._replace(token=token, told=False)
            yield Move(f"{label}: answered", _put(w, site, answered), "", faults)
        elif not faults:
            yield Move(f"{label}: refused", w)

    def _verdict(self, place: Place, token: int, effect: EffectClass) -> ClaimVerdict:
        if not place.token:
            return ClaimVerdict.CLAIMED
        newer = (token > place.token) - (token < place.token)
        return self.rules.claims[place.row, place.process, newer, effect]

    def _end(self, w: Work, site: int, token: int, label: str) -> Move:
        """It takes effect, if its sink lets it, and its outcome is in the journal."""
        fenced, place = w.effect is EffectClass.C, w.places[site]
        takes = not fenced or self.rules.sink_takes(w.newest, token)
        broken = ""
        if fenced and takes and token <= w.newest:
            broken = f"I3: attempt {token} took effect after attempt {w.newest}"
        if token == place.token and place.process:
            row = SUCCEEDED if takes else FAILED
            place = place._replace(row=row, told=False, process=False)
        else:
            place = place._replace(old=OLD_SUCCEEDED if takes else OLD_FAILED)
        after = _put(w, site, place)
        return Move(label, after._replace(newest=token) if takes and fenced else after, broken)

    # -- an agent: notice, report ------------------------------------------------------------

    def _noticed(self, w: Work, scene: Scene) -> tuple[Work, str]:
        for site, place in enumerate(w.places):
            orphan = place.token and place.row == RUNNING and not place.process
            if orphan and scene.alive[site]:
                return _put(w, site, place._replace(row=LOST, told=False)), ""
        return w, ""

    def _reported(self, w: Work, scene: Scene) -> tuple[Work, str]:
        for site, place in enumerate(w.places):
            if not scene.reports[site]:
                continue
            if not place.told:
                return self._heard(_put(w, site, place._replace(told=True)), place)
            if place.old in (OLD_SUCCEEDED, OLD_FAILED):
                row = SUCCEEDED if place.old == OLD_SUCCEEDED else FAILED
                return self._ended(_put(w, site, place._replace(old=OLD_NONE)), 1, row)
        return w, ""

    def _heard(self, w: Work, place: Place) -> tuple[Work, str]:
        """Its claim, and its end if it has one: entries of a journal come in order."""
        if place.token == w.token and w.status is RunStatus.READY and w.attempt == PUBLISHED:
            w = w._replace(status=self.rules.move(w.status, RunEvent.CLAIM))
        if place.row == RUNNING:
            return w, ""
        return self._ended(w, place.token, place.row)

    def _ended(self, w: Work, token: int, row: int) -> tuple[Work, str]:
        if not self.rules.commits(w.token, token, w.status):
            return w, ""
        if token != w.token:
            return w, "I4: an outcome was committed with an old token"
        if w.status is not RunStatus.RUNNING:
            return w, "I3: a run that was over was committed again"
        if row == LOST:
            return self._after_loss(w), ""
        event = RunEvent.SUCCEED if row == SUCCEEDED else RunEvent.FAIL
        return w._replace(status=self.rules.move(w.status, event), attempt=NO_ATTEMPT), ""

    def _may(self, deed: Deed, mode: Mode, before: bool, effect: EffectClass) -> bool:
        return bool(self.rules.may(deed, mode, published_before=before, effect=effect).allowed)


def crashed(w: Work, site: int) -> Work:
    """Its processes are gone; its journal stays."""
    place = w.places[site]
    old = OLD_NONE if place.old == OLD_RUNS else place.old
    return _put(w, site, place._replace(process=False, old=old))


def _claimed(w: Work, site: int, token: int) -> Work:
    before = w.places[site]
    old = OLD_RUNS if before.process else before.old
    place = Place(token=token, row=RUNNING, told=False, process=True, old=old)
    return _put(w, site, place)._replace(started=w.effect is EffectClass.D)


def _put(w: Work, site: int, place: Place) -> Work:
    places = list(w.places)
    places[site] = place
    return w._replace(places=(places[0], places[1], places[2]))


def _waits(w: Work) -> Work:
    return w._replace(waiting=w.waiting | 1 << w.token)


def _bits(mask: int) -> list[int]:
    return [token for token in range(1, MAX_ATTEMPTS + 1) if mask >> token & 1]


def _minimal(scene: Scene, what: str) -> str:
    return f"{what} in minimal mode" if scene.mode is Mode.MINIMAL else ""
