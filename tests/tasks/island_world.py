"""A LAN that is alone for some rounds, on paper: the home of DC1 with Redis, then with its folder,
then with Redis again; and DC2, which goes on taking what lies in Redis."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fleet.policy.effects import EffectClass
from fleet.policy.states import RunStatus
from probes.agent.island import Island
from tasks.home.island_store import IslandStore
from tasks.home.signer import Signed, Signer
from tests.tasks.home_world import KEY, PaperSite, World
from tests.tasks.paper import Cut, Cutting, PaperBroker
from tests.tasks.test_home_crash import HOME, NUMBER, JournalHome

#: The site is alone from this round to that one.
ALONE = range(1, 4)


class PaperFolder(PaperBroker):
    """The island's folder: what a killed worker had taken is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.given: dict[int, str] = {}

    def publish(self, batch: Sequence[Signed]) -> None:
        self.given |= {signed.envelope.token: signed.envelope.queue for signed in batch}
        super().publish(batch)

    def put_back(self, worker: str) -> None:
        self.taken.pop(worker, None)

    def clear(self) -> None:
        self.queues.clear()


class NoProcess:
    """Stands for the second worker's process: on paper its steps are those of the site."""

    def keep(self, *, wanted: bool) -> None:
        self.wanted = wanted

    def close(self) -> None:
        return


class IslandWorld(World):
    """DC1 is alone in the rounds of `ALONE`; in the first one nobody works, but the relay does."""

    home: JournalHome

    def __init__(
        self,
        home: JournalHome,
        sites: list[PaperSite],
        effect: EffectClass,
        *,
        at: int,
        owned: frozenset[str],
    ) -> None:
        self.folder = PaperFolder()
        self.owned = owned
        self.round = -1
        super().__init__(home, sites, effect, at=at)
        self.folder.cuts = self.cuts

    @property
    def alone(self) -> bool:
        return self.round in ALONE

    def _start_home(self) -> None:
        super()._start_home()
        store = IslandStore(
            *(self.home._database, HOME, NUMBER, self.home._supply),
            capabilities=("dev",),
            owned=self.owned,
        )
        broker: Any = Cutting(self.folder, self.cuts)
        cutting: Any = Cutting(store, self.cuts)
        worker: Any = NoProcess()
        self.island = Island(cutting, broker, Signer(HOME, KEY), worker)

    def _steps(self) -> Iterator[Callable[[], None]]:
        self.round += 1
        if self.round == ALONE.start:
            self._guarded(self._accept)  # one more, for an island
        yield self._home_step
        if self.round == 0:
            return
        for site in self.sites:
            if site.name == HOME or not self.owned:
                yield lambda site=site: self._worker_step(site)  # type: ignore[misc]
            yield lambda site=site: self._report(site)  # type: ignore[misc]

    def _report(self, site: PaperSite) -> None:
        """While the site is alone, nobody takes its reports or passes it what DC2 tells."""
        if self.alone and site.name == HOME:
            site.claims.lose_orphans(self.now)
        else:
            self.home.hear(site, self.cuts, self.now)

    def _home_steps(self) -> None:
        self.home.before_relay(self.now)
        self.island._next_reconcile_s = 0.0
        if self.alone:
            self.reconciler.deaf()
            self.island.step(self.now)
            return
        self.island.end()
        self.relay.step(self.now)
        if self.round != ALONE.stop:  # first the control plane tells what DC2 has claimed
            self.reconciler.step(self.now)

    def _worker_step(self, site: PaperSite) -> None:
        """At home the second worker reads the folder; DC2's reads Redis all the time."""
        redis = self.broker
        if self.alone and site.name == HOME:
            self.broker = self.folder
        try:
            super()._worker_step(site)
        except Cut:
            self.folder.put_back(site.worker)
            raise
        finally:
            self.broker = redis

    def _quiet(self) -> bool:
        return self.round > ALONE.stop and super()._quiet()


def check_island(world: IslandWorld) -> None:
    """What holds of everything that was given to the island, wherever something was cut."""
    where = f"{world.effect}, {world.cuts.where}"
    ours = {"dev.dc1", *world.owned}
    for run, attempt, token in world.folder.published:
        queue = world.folder.given[token]
        assert queue in ours, f"{where}: {queue} was given on the island"
        elsewhere = {t for r, a, t in world.broker.published if (r, a) == (run, attempt)}
        assert elsewhere <= {token}, f"{where}: one attempt, two tokens"
    assert all(s is not RunStatus.RUNNING for s in world.home.statuses().values()), where
