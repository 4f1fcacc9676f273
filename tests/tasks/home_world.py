"""A small fleet on paper: a real home, real journals, real signatures; broker and time are models.

Everything that a process does goes through `Cuts.point`, so that a test can end any process at
any step, and then let the fleet go on until it is quiet.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import update

from fleet.policy.effects import EffectClass
from fleet.policy.envelope import Envelope
from fleet.policy.errors import NetworkError
from fleet.policy.states import RunStatus
from tasks.home.reconcile import Reconciler
from tasks.home.relay import Relay
from tasks.home.signer import Signer
from tasks.home.store import HomeStore
from tasks.journal import Claims, ClaimVerdict, Entries, JournalDatabase
from tasks.journal.tables import ClaimRow
from tasks.wire import Outcome, OutcomeStatus
from tests.tasks.paper import Cut, Cuts, Cutting, PaperBroker, Sink

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
START = datetime(2030, 1, 1, tzinfo=UTC)
ROUND_S = 6.0
MOST_ROUNDS = 40


class PaperSite:
    """One LAN: a real journal, one worker, one agent."""

    def __init__(self, name: str, database: JournalDatabase) -> None:
        self.name = name
        self.worker = f"celery@{name}"
        self.database = database
        self.claims = Claims(database)
        self.entries = Entries(database)

    def kill_worker(self) -> None:
        """Its claims now name a process that never was."""
        with self.database.write() as connection:
            connection.execute(
                update(ClaimRow).where(ClaimRow.status == "RUNNING").values(process_started=0.0)  # type: ignore[arg-type]
            )


class PaperHome(Protocol):
    """What differs between the two homes."""

    def new_store(self) -> HomeStore:
        """Its process starts."""

    def accept(self, effect: EffectClass) -> str:
        """Accept one run; returns its id."""

    def before_relay(self, now: datetime) -> None:
        """What this home's process does first in each step."""

    def hear(self, site: PaperSite, cuts: Cuts, now: datetime) -> None:
        """The site's agent reports."""

    def statuses(self) -> dict[str, RunStatus]:
        """All runs."""

    def heard_all(self, sites: Sequence[PaperSite]) -> bool:
        """Whether no report is under way."""


class World:
    """One home, two sites, and one thing that goes wrong."""

    def __init__(
        self,
        home: PaperHome,
        sites: Sequence[PaperSite],
        effect: EffectClass,
        *,
        at: int = 0,
        trouble: str = "cut",
    ) -> None:
        self.now = START
        self.home = home
        self.sites = sites
        self.effect = effect
        self.broker = PaperBroker()
        self.sink = Sink()
        self.accepted: set[str] = set()
        self.cuts = self.broker.cuts = Cuts(at, self._trouble(trouble))
        self._start_home()

    def _start_home(self) -> None:
        broker: Any = Cutting(self.broker, self.cuts)
        plain = self.home.new_store()
        store: Any = Cutting(plain, self.cuts)
        self.relay = Relay(store, broker, Signer(plain.name, KEY))
        self.reconciler = Reconciler(store, broker, self.relay)

    def _trouble(self, kind: str) -> Callable[[], None]:
        def cut() -> None:
            raise Cut

        def away() -> None:
            self.broker.away_calls = 7

        return {"cut": cut, "forget": self.broker.forget, "away": away}[kind]

    def play(self, runs: int) -> "World":
        """Accept some runs, then let everybody work until nothing is left to do."""
        for _ in range(runs):
            self._guarded(self._accept)
        for _ in range(MOST_ROUNDS):
            for step in self._steps():
                self._guarded(step)
            self.now += timedelta(seconds=ROUND_S)
            if self._quiet():
                return self
        raise AssertionError(f"not quiet after {MOST_ROUNDS} rounds; cut {self.cuts.where}")

    def _steps(self) -> Iterator[Callable[[], None]]:
        yield self._home_step
        for site in self.sites:
            yield lambda site=site: self._worker_step(site)  # type: ignore[misc]
            yield lambda site=site: self.home.hear(site, self.cuts, self.now)  # type: ignore[misc]

    def _guarded(self, step: Callable[[], None]) -> None:
        """A process that is cut starts again with its next step; an absent broker is waited for."""
        self.cuts.armed = True
        try:
            step()
        except (Cut, NetworkError):
            return
        finally:
            self.cuts.armed = False

    def _accept(self) -> None:
        self.cuts.point("before accept")
        run_id = self.home.accept(self.effect)
        self.cuts.point("after accept")
        self.accepted.add(run_id)

    def _home_step(self) -> None:
        try:
            self._home_steps()
        except Cut:
            self._start_home()
            raise

    def _home_steps(self) -> None:
        self.home.before_relay(self.now)
        try:
            self.relay.step(self.now)
        except NetworkError:
            self.reconciler.step(self.now, broker_readable=False)
            raise
        self.reconciler.step(self.now)

    def _worker_step(self, site: PaperSite) -> None:
        try:
            self._work_once(site)
        except Cut:
            self.cuts.armed = False
            site.kill_worker()
            self.broker.put_back(site.worker)
            raise

    def _work_once(self, site: PaperSite) -> None:
        signed = self.broker.take([f"dev.{site.name}", "dev"], site.worker)
        if signed is None:
            return
        envelope = signed.envelope
        claims: Any = Cutting(site.claims, self.cuts)
        self.cuts.point("after take")
        claimed = claims.claim(envelope, self.effect, site.worker, self.now)
        if claimed.verdict is ClaimVerdict.CLAIMED:
            self._run(site, envelope)
            outcome = Outcome(status=OutcomeStatus.SUCCESSFUL, return_value=envelope.token)
            claims.finish(envelope, outcome, site.worker, self.now)
        self.broker.acknowledge(site.worker)
        self.cuts.point("after acknowledge")

    def _run(self, site: PaperSite, envelope: Envelope) -> None:
        self.sink.started[envelope.id, envelope.token, site.name] += 1
        self.cuts.point("before effect")
        self.sink.take_effect(self.effect, envelope)
        self.cuts.point("after effect")

    def _quiet(self) -> bool:
        statuses = self.home.statuses().values()
        done = not {RunStatus.READY, RunStatus.RUNNING} & set(statuses)
        return done and self.broker.empty() and self.home.heard_all(self.sites)


def check_promises(world: World, *, publications: int) -> None:
    """What must hold whatever went wrong, and wherever. `publications` is the most of one token."""
    where = f"{world.effect}, {world.cuts.where}"
    statuses = world.home.statuses()
    assert world.accepted <= set(statuses), f"{where}: an accepted run is lost"
    for run, status in statuses.items():
        if world.effect is EffectClass.D:
            assert status in (RunStatus.SUCCESSFUL, RunStatus.DEAD), f"{where}: {status}"
            assert world.sink.unfenced[run] <= 1, f"{where}: took effect twice"
            starts = sum(n for (r, _, _), n in world.sink.started.items() if r == run)
            assert starts <= 1, f"{where}: class D was started {starts} times"
        else:
            assert status is RunStatus.SUCCESSFUL, f"{where}: {status}"
        if status is RunStatus.SUCCESSFUL:
            assert world.sink.has_effect(world.effect, run), f"{where}: success without effect"
    assert all(n == 1 for n in world.sink.keyed_writes.values()), f"{where}: a key written twice"
    assert all(t == sorted(t) for t in world.sink.fenced.values()), f"{where}: an old token won"
    assert all(n == 1 for n in world.sink.started.values()), f"{where}: one token started twice"
    _check_tokens(world, where, publications)


def _check_tokens(world: World, where: str, publications: int) -> None:
    tokens: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for (run, attempt, token), times in world.broker.published.items():
        assert attempt not in tokens[run], f"{where}: one attempt, two tokens"
        assert times <= publications, f"{where}: token published {times} times"
        tokens[run][attempt] = token
    for attempts in tokens.values():
        in_order = [attempts[number] for number in sorted(attempts)]
        assert in_order == sorted(set(in_order)), f"{where}: tokens do not increase"
    issued = [token for attempts in tokens.values() for token in attempts.values()]
    assert len(issued) == len(set(issued)), f"{where}: one token, two attempts"


def emptied(database: JournalDatabase) -> JournalDatabase:
    """The journal as it was when it was new; its compiled statements are kept, to save time."""
    with database.write() as connection:
        for table in ("entry", "claim", "worker", "home_run", "sqlite_sequence"):
            connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608
        connection.exec_driver_sql("DELETE FROM meta WHERE key != 'journal_id'")
    return database
