"""The lab's life: up, down, clean."""

import contextlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass

from deploy.lab import first_tasks, parts, ports, processes
from deploy.lab.broker_files import ROLES
from deploy.lab.brokers import Brokers
from deploy.lab.driver import Driver
from deploy.lab.errors import LabError, NotReadyError
from deploy.lab.faults import Faults
from deploy.lab.files import read_stripped, tail, write_private
from deploy.lab.namespaces.layout import Names
from deploy.lab.namespaces.network import Network
from deploy.lab.one_time import run_to_end
from deploy.lab.paths import LabPaths
from deploy.lab.plan import ProcessPlan
from deploy.lab.processes import ProcessRecord, ProcessSpec
from deploy.lab.progress import Progress
from deploy.lab.readiness import Readiness, answers
from deploy.lab.redis_server import find_redis_server
from deploy.lab.secret_files import SecretFiles
from deploy.lab.site_files import ADMIN_USER, SiteFiles
from deploy.lab.state import LabState, SiteState, read_state, write_state
from deploy.lab.waiting import wait_until
from deploy.render.addresses import FleetAddresses
from deploy.topology import Topology

#: The control plane gives its parts 20 s.
STOP_DEADLINE_S = 25.0
PART_DEADLINE_S = 60.0

#: Those who take work end first, those who keep it last.
STOP_ORDER = (("worker",), ("sim-fly",), ("agent",), ("control",), ("sim-unifi", "sim-openwrt"))


@dataclass(slots=True, kw_only=True)
class Lab:
    """One lab below one folder."""

    paths: LabPaths
    topology: Topology
    progress: Progress
    #: None: as it runs now, else on loopback addresses.
    driver: Driver | None = None

    def up(self) -> LabState:
        """Start what does not run and wait until all of it serves; returns the state.

        Raises LabError naming the process that did not come up, with the end of its log.
        """
        files = self._write_files()
        state = self._state(files)
        alive = {key for key, record in state.records().items() if processes.is_alive(record)}
        self._start_brokers(files, state)
        plan = ProcessPlan(files)
        self._start_devices(plan, state)
        self._start_control_plane(plan, state)
        self._start_workers(plan, state)
        started = state.records().keys() - alive
        state = self._with_parts(files, state)
        if started:
            self._first_tasks(files, state)
        Readiness(state).all_alive()
        return state

    def down(self) -> int:
        """End everything that the lab started, and every fault; returns how many processes."""
        state = read_state(self.paths)
        try:
            return self._end_processes(state) if state else 0
        finally:
            self._faults().end()
            self._network().remove()

    def _end_processes(self, state: LabState) -> int:
        # The supervisor ends its parts; it would start again one that ended before it.
        records = {key: r for key, r in state.records().items() if r.part_of is None}
        alive = sum(map(processes.is_alive, records.values()))
        named = {name for group in STOP_ORDER for name in group}
        other = tuple({name for _, name in records} - named - set(ROLES))
        for group in (other, *STOP_ORDER, *((role,) for role in reversed(ROLES))):
            self._stop(group, records)
        for site in state.sites.values():
            site.processes.clear()
        write_state(self.paths, state)
        return alive

    def clean(self) -> None:
        """End everything and forget it: state, data, secrets, logs.

        Removes what the lab made and nothing else: the folder may be a person's own.
        """
        self.down()
        for path in self.paths.everything(self.topology.names):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.paths.root.rmdir()

    # Steps

    def _addresses(self) -> FleetAddresses:
        """Those of the last start: all while something still listens there, else the free ones."""
        known = ports.read(self.paths.addresses) if self.paths.addresses.is_file() else None
        state = read_state(self.paths)
        if known and state and any(map(processes.is_alive, state.records().values())):
            return self._as_it_runs(known, state)
        # What a machine that went down left on.
        self._faults().end()
        if self.driver is Driver.NAMESPACES:
            with self.progress.step("Making a network namespace for each site"):
                chosen = self._network().make()
        else:
            self._network().remove()
            chosen = ports.choose(self.topology, usual=True, known=known)
        write_private(self.paths.addresses, chosen.model_dump_json(indent=2) + "\n")
        return chosen

    def _as_it_runs(self, known: FleetAddresses, state: LabState) -> FleetAddresses:
        if self.driver not in (None, state.driver):
            raise LabError(
                f"the lab runs with the driver {state.driver}; run first: turtle lab down"
            )
        return known

    def _network(self) -> Network:
        return Network(topology=self.topology, names=Names(self.paths.root))

    def _faults(self) -> Faults:
        return Faults(self.paths, self.topology)

    def _write_files(self) -> SiteFiles:
        files = SiteFiles(
            paths=self.paths,
            topology=self.topology,
            addresses=self._addresses(),
            secrets=SecretFiles(self.paths.secrets),
        )
        with self.progress.step("Writing configuration and secrets"):
            files.write()
        return files

    def _state(self, files: SiteFiles) -> LabState:
        """The state with today's addresses and the processes that still run."""
        old = read_state(self.paths)
        namespaced = any(a.netns for a in files.addresses.sites.values())
        state = LabState(
            driver=Driver.NAMESPACES if namespaced else Driver.LOOPBACK,
            control_url=files.control_url,
            api_url=f"{files.control_url}/api/v1",
            api_token=read_stripped(files.secrets.api_token("operator")),
            read_token=read_stripped(files.secrets.api_token("reader")),
            admin_user=ADMIN_USER,
            admin_password=read_stripped(files.admin_password()),
            flower_url=f"{files.control_url}/flower/",
            sites={
                name: SiteState(
                    redis=str(a.redis), sentinel=str(a.sentinel), agent=str(a.agent), netns=a.netns
                )
                for name, a in files.addresses.sites.items()
            },
        )
        for (site, name), record in (old.records() if old else {}).items():
            if processes.is_alive(record) and record.part_of is None:
                state.sites[site].processes[name] = record
        write_state(self.paths, state)
        return state

    def _start_brokers(self, files: SiteFiles, state: LabState) -> None:
        with self.progress.step("Finding a Redis server"):
            server = find_redis_server(self.progress.say)
        self.progress.say(f"  Redis {server.version} at {server.path}")
        if server.note:
            self.progress.say(f"  Note: {server.note}")

        def remember(site: str, name: str, record: ProcessRecord) -> None:
            state.sites[site].processes[name] = record
            write_state(self.paths, state)

        brokers = Brokers(
            root=self.paths.root,
            topology=self.topology,
            addresses=files.addresses,
            secrets=files.secrets,
            server=server,
            running={k: r for k, r in state.records().items() if k[1] in ROLES},
            on_start=remember,
        )
        with self.progress.step("Starting Redis and Sentinel at three sites"):
            brokers.start()
            brokers.wait_ready(deadline_s=60.0)

    def _start_devices(self, plan: ProcessPlan, state: LabState) -> None:
        specs = tuple(plan.simulators())
        with self.progress.step("Starting the simulated devices"):
            self._start(specs, state)
            for spec in specs:
                Readiness(state).simulator(spec.site, spec.name)

    def _start_control_plane(self, plan: ProcessPlan, state: LabState) -> None:
        site = self.topology.control_site.name
        if state.record(site, "control") is None:
            with self.progress.step("Preparing the ledger's database"):
                run_to_end(plan.one_time("migrate", "migrate", "--noinput"))
                run_to_end(plan.one_time("provision", "provision", str(self.paths.provision)))
        with self.progress.step("Starting the control plane"):
            self._start(plan.control_plane(), state)
            Readiness(state).control(site)
            self._await_part(plan.files, state, parts.AGENT, "/healthz")
            self._await_part(plan.files, state, parts.FLOWER, "/flower/healthcheck")

    def _start_workers(self, plan: ProcessPlan, state: LabState) -> None:
        with self.progress.step("Starting agents and workers"):
            self._start((*plan.agents(), *plan.workers()), state)
            for spec in plan.agents():
                Readiness(state).agent(spec.site)
            for worker in self.topology.worker_sites:
                Readiness(state).worker(worker.name)

    def _await_part(self, files: SiteFiles, state: LabState, name: str, path: str) -> None:
        """Wait for a part of the control plane, whichever process it is by then.

        The supervisor starts a part again that ends, under another process id.
        """
        site = self.topology.control_site.name
        log = self.paths.log(site, parts.SUPERVISOR)

        def ready() -> bool:
            record = parts.with_parts(files, state).record(site, name)
            return (
                record is not None
                and processes.listens(record)
                and answers(f"http://{record.address}{path}")
            )

        try:
            wait_until(ready, deadline_s=PART_DEADLINE_S, what=f"{name} of {site}", interval_s=0.2)
        except NotReadyError as error:
            raise LabError(f"{error}; the end of {log}:\n{tail(log)}") from error

    def _with_parts(self, files: SiteFiles, state: LabState) -> LabState:
        state = parts.with_parts(files, state)
        write_state(self.paths, state)
        return state

    def _first_tasks(self, files: SiteFiles, state: LabState) -> None:
        work = {
            site.name: self.paths.work(site.name)
            for site in self.topology.sites
            if "dev" in site.capabilities
        }
        with self.progress.step("Enqueueing the first tasks"):
            wanted = first_tasks.first_tasks(files.addresses.control_from_boxes, work)
            first_tasks.enqueue(state, wanted)

    def _start(self, specs: Iterable[ProcessSpec], state: LabState) -> None:
        for spec in specs:
            if state.record(spec.site, spec.name) is None:
                state.sites[spec.site].processes[spec.name] = processes.start(spec)
                write_state(self.paths, state)

    def _stop(self, names: tuple[str, ...], records: dict[tuple[str, str], ProcessRecord]) -> None:
        chosen = [record for (_, name), record in records.items() if name in names]
        if chosen:
            with self.progress.step(f"Stopping {', '.join(sorted(names))}"):
                processes.stop(chosen, deadline_s=STOP_DEADLINE_S)
