"""The running lab as a scenario needs it: who leads, is it whole, how is it broken and mended."""

import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import redis

from deploy.lab import processes
from deploy.lab.brokers import Brokers
from deploy.lab.driver import Driver
from deploy.lab.errors import LabError, NotReadyError
from deploy.lab.faults import Fault, Faults
from deploy.lab.faults.fleet import RunningFleet
from deploy.lab.lifecycle import Lab
from deploy.lab.paths import LabPaths
from deploy.lab.progress import Progress
from deploy.lab.redis_server import find_redis_server
from deploy.lab.scenario.script import Op
from deploy.lab.state import LabState, lab_lock
from deploy.lab.waiting import wait_until
from deploy.topology import Topology

WHOLE_WITHIN_S = 60.0
MASTER_WITHIN_S = 40.0


@dataclass(kw_only=True)
class Stage:
    """One lab in namespaces, started where it does not run."""

    paths: LabPaths
    topology: Topology
    progress: Progress

    def up(self) -> None:
        """Mend what is broken, start what does not run, wait until all of it serves."""
        with contextlib.suppress(LabError):
            self.faults.heal()
        with lab_lock(self.paths):
            self._lab().up()

    def up_anew(self) -> None:
        """A new lab without a memory: of a site that was lost lately the old one is wary."""
        with lab_lock(self.paths):
            self._lab().down()
        self._lab().clean()
        for known in ("faults", "fleet", "brokers"):
            self.__dict__.pop(known, None)
        self.up()

    def _lab(self) -> Lab:
        return Lab(
            paths=self.paths,
            topology=self.topology,
            progress=self.progress,
            driver=Driver.NAMESPACES,
        )

    @cached_property
    def faults(self) -> Faults:
        return Faults(self.paths, self.topology)

    @cached_property
    def fleet(self) -> RunningFleet:
        return RunningFleet(paths=self.paths, topology=self.topology)

    @cached_property
    def brokers(self) -> Brokers:
        """For asking only: they are started and ended by the lab."""
        return Brokers(
            root=self.paths.root,
            topology=self.topology,
            addresses=self.fleet.files.addresses,
            secrets=self.fleet.files.secrets,
            server=find_redis_server(),
        )

    @property
    def state(self) -> LabState:
        return self.fleet.state()

    # Breaking and mending

    def break_(self, op: Op) -> Fault | None:
        """Apply one fault; a restart leaves none behind."""
        method = getattr(self.faults, op.verb)
        where = tuple(int(word) if word.isdigit() else word for word in op.where)
        found = method(*where, **op.options)
        return found if isinstance(found, Fault) else None

    def mend(self, op: Op) -> None:
        """Undo one fault; nothing to do where another act has undone it."""
        if any(fault.id == op.fault_id for fault in self.faults.active()):
            self.faults.heal(op.fault_id)

    def mend_all(self) -> None:
        """Undo every fault; what is frozen goes first, or it could not be asked to go on."""
        self.faults.heal()

    # Asking and preparing

    def give_small_disk(self, site: str) -> None:
        """Move the site's folder before anything is measured: its processes start anew for it.

        A witness that writes to the site's journal must open it on the disk that will be full.
        """
        self.faults.small_disk(site)

    def make_whole(self) -> float:
        """Mend all and wait until the brokers are complete; returns the seconds that it took.

        Starts the lab's missing processes where mending alone did not do. Raises NotReadyError.
        """
        began_s = time.monotonic()
        self.mend_all()
        if self.ended() or not self._brokers_whole(WHOLE_WITHIN_S):
            self.up()
            if not self._brokers_whole(WHOLE_WITHIN_S):
                raise NotReadyError(f"the brokers are not whole: {self._why_not_whole()}")
        return time.monotonic() - began_s

    def lead(self, site: str) -> None:
        """Make the Redis of `site` the master: the other one is killed until it has happened."""
        leader = self.brokers.master()
        if leader == site:
            return
        self.faults.kill(leader, "redis")
        try:
            self.brokers.wait_for_master(site, deadline_s=MASTER_WITHIN_S)
        finally:
            self.mend_all()
        if not self._brokers_whole(WHOLE_WITHIN_S):
            raise NotReadyError(f"the brokers are not whole: {self._why_not_whole()}")

    def ended(self) -> list[tuple[str, str]]:
        """Processes that should run and do not, as site and name."""
        return [
            key
            for key, record in self.state.records().items()
            if record.part_of is None and not processes.is_alive(record)
        ]

    def start_again(self, ended: Iterable[tuple[str, str]]) -> None:
        """Start what ended by itself, as systemd does on a real box."""
        for site, name in ended:
            self.faults.restart(site, name)

    def _brokers_whole(self, deadline_s: float) -> bool:
        with contextlib.suppress(NotReadyError):
            return wait_until(
                lambda: not self._why_not_whole(),
                deadline_s=deadline_s,
                what="brokers",
                interval_s=0.2,
            )
        return False

    def _why_not_whole(self) -> str:
        try:
            return self.brokers.not_ready()
        except redis.RedisError as error:
            return str(error)
