"""The running lab as faults see it: its processes by name, and how each is started again."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from deploy.lab import parts, ports, processes
from deploy.lab.broker_files import ROLES
from deploy.lab.brokers import Brokers
from deploy.lab.errors import LabError
from deploy.lab.paths import LabPaths
from deploy.lab.plan import ProcessPlan
from deploy.lab.processes import ProcessRecord, ProcessSpec
from deploy.lab.redis_server import find_redis_server
from deploy.lab.secret_files import SecretFiles
from deploy.lab.site_files import SiteFiles
from deploy.lab.state import LabState, read_state, write_state
from deploy.lab.waiting import wait_until
from deploy.topology import Topology

#: Stands for every process of a site.
ALL = "all"
#: What a process may take to end by itself before it is killed.
STOP_DEADLINE_S = 25.0


@dataclass(frozen=True, kw_only=True)
class RunningFleet:
    """A lab that was started; every method reads its state anew."""

    paths: LabPaths
    topology: Topology

    @cached_property
    def files(self) -> SiteFiles:
        """The lab's files with the addresses of its start."""
        return SiteFiles(
            paths=self.paths,
            topology=self.topology,
            addresses=ports.read(self.paths.addresses),
            secrets=SecretFiles(self.paths.secrets),
        )

    def state(self) -> LabState:
        """The lab's state with the parts of the control plane as they are now."""
        state = read_state(self.paths)
        if state is None:
            raise LabError("the lab was not started yet; run: turtle lab up")
        return parts.with_parts(self.files, state)

    def check_sites(self, *names: str) -> None:
        """Raises LabError for a name that is no site, and for one that is given twice."""
        for name in names:
            if name not in self.topology.names:
                raise LabError(f"no site {name!r}; there are: {', '.join(self.topology.names)}")
        if len(set(names)) != len(names):
            raise LabError("name two different sites")

    def netns(self, site: str) -> str:
        """The site's network namespace; raises LabError for the loopback driver, without any."""
        self.check_sites(site)
        found = self.files.addresses.sites[site].netns
        if found is None:
            raise LabError(
                "faults of links need a network namespace a site. Run: turtle lab down, "
                "then: turtle lab up --driver namespaces"
            )
        return found

    def records(self, site: str, process: str) -> dict[str, ProcessRecord]:
        """The processes that the words mean, by name: one, or with `all` those with no parent.

        Raises LabError for a name that the site does not have.
        """
        self.check_sites(site)
        every = self.state().sites[site].processes
        if process == ALL:
            return {name: r for name, r in every.items() if r.part_of is None}
        known = {name: spec for (s, name), spec in self.specs().items() if s == site}
        if process not in every and process not in known:
            names = ", ".join(sorted({*every, *known}))
            raise LabError(f"no process {process!r} at {site}; there are: {names}, {ALL}")
        return {process: every[process]} if process in every else {}

    def specs(self) -> Mapping[tuple[str, str], ProcessSpec]:
        """How each process is started, by site and name."""
        brokers = Brokers(
            root=self.paths.root,
            topology=self.topology,
            addresses=self.files.addresses,
            secrets=self.files.secrets,
            server=find_redis_server(),
        )
        plan = ProcessPlan(self.files)
        specs = [brokers.spec(site, role) for site in self.topology.names for role in ROLES]
        return {(spec.site, spec.name): spec for spec in (*specs, *plan.every())}

    def restart(self, site: str, process: str, *, ready_within_s: float) -> None:
        """End the processes that run, start them all, wait until they listen."""
        records = self.records(site, process)
        part = records.get(process)
        if part is not None and part.part_of is not None:
            self._restart_part(site, process, part, ready_within_s)
            return
        processes.stop(list(records.values()), deadline_s=STOP_DEADLINE_S)
        self.start(site, process, ready_within_s=ready_within_s)

    def start(self, site: str, process: str, *, ready_within_s: float) -> None:
        """Start what does not run, in the order of the lab's start, and wait until it listens.

        A part of the control plane is started by its supervisor; that is waited for.
        """
        names = set(self.records(site, ALL)) if process == ALL else {process}
        chosen = [s for (of, name), s in self.specs().items() if of == site and name in names]
        records = {spec.name: self._start(spec) for spec in chosen}
        for name, record in records.items():
            self._await(site, name, record, ready_within_s)
        if not chosen and process != ALL:
            self._await_part(site, process, ready_within_s)

    def _start(self, spec: ProcessSpec) -> ProcessRecord:
        state = self.state()
        running = state.record(spec.site, spec.name)
        if running is not None:
            return running
        record = processes.start(spec)
        state.sites[spec.site].processes[spec.name] = record
        write_state(self.paths, state)
        return record

    def _await(self, site: str, name: str, record: ProcessRecord, within_s: float) -> None:
        def ready() -> bool:
            if not processes.is_alive(record):
                raise processes.ended_early(record, f"{name} of {site}")
            return record.address is None or processes.listens(record)

        wait_until(ready, deadline_s=within_s, what=f"{name} of {site} to listen")

    def _restart_part(self, site: str, name: str, old: ProcessRecord, within_s: float) -> None:
        processes.stop([old], deadline_s=STOP_DEADLINE_S)
        self._await_part(site, name, within_s)

    def _await_part(self, site: str, name: str, within_s: float) -> None:
        def ready() -> bool:
            new = self.state().record(site, name)
            return new is not None and (new.address is None or processes.listens(new))

        wait_until(ready, deadline_s=within_s, what=f"{name} of {site} to be started again")
