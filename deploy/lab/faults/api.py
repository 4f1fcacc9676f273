"""The faults of a running lab, one method each."""

from dataclasses import dataclass, field

from deploy.lab import processes
from deploy.lab.errors import LabError
from deploy.lab.faults import clock, device, disk, link, network, rules, undo
from deploy.lab.faults.fleet import ALL, RunningFleet
from deploy.lab.faults.link import Slowness
from deploy.lab.faults.record import Fault, FaultFile, FaultKind
from deploy.lab.paths import LabPaths
from deploy.topology import Topology, topology


@dataclass(frozen=True, slots=True)
class Faults:
    """Break a running lab, and mend it.

    Every method takes names of sites (`dc1`) and of processes (`worker`, as `turtle lab status`
    shows them; `all` means every process of the site). It returns when the fault is on, and
    raises LabError for a name that the lab does not have or a fault that its driver cannot do.
    The same fault twice is one fault. Methods may be called from several threads and programs.
    """

    paths: LabPaths
    shape: Topology = field(default_factory=topology)

    # Processes

    def kill(self, site: str, process: str, *, only_main: bool = False) -> Fault:
        """End a process and its children at once (KILL), as a power cut does.

        `only_main`: leave the children, as the kernel's out-of-memory killer does.
        """
        with self._file.lock():
            for record in self._fleet.records(site, process).values():
                processes.kill(record, family=not only_main)
            self._forget(FaultKind.STOP, site, process)
            return self._keep(Fault(kind=FaultKind.KILL, where=(site, process)))

    def stop(self, site: str, process: str) -> Fault:
        """Freeze a process and its children (STOP): connections stay open and silent."""
        with self._file.lock():
            for record in self._fleet.records(site, process).values():
                processes.freeze(record)
            return self._keep(Fault(kind=FaultKind.STOP, where=(site, process)))

    def resume(self, site: str, process: str) -> None:
        """Let a frozen process and its children go on."""
        with self._file.lock():
            for record in self._fleet.records(site, process).values():
                processes.thaw(record)
            self._forget(FaultKind.STOP, site, process)

    def restart(self, site: str, process: str, *, ready_within_s: float = 60.0) -> None:
        """End a process in the orderly way if it runs, start it, and wait until it listens.

        Raises NotReadyError after `ready_within_s` seconds.
        """
        with self._file.lock():
            self._fleet.restart(site, process, ready_within_s=ready_within_s)
            self._forget(FaultKind.KILL, site, process)
            self._forget(FaultKind.STOP, site, process)

    # Links: packets vanish without an answer; the operator's way is never touched

    def cut_site(self, site: str) -> Fault:
        """Nothing passes between a site and the others, neither overlay nor public."""
        return self._network(FaultKind.CUT_SITE, site)

    def cut_link(self, a: str, b: str) -> Fault:
        """Nothing passes between two sites."""
        return self._network(FaultKind.CUT_LINK, *sorted((a, b)))

    def cut_oneway(self, sender: str, receiver: str) -> Fault:
        """What `sender` sends does not reach `receiver`; the other direction works."""
        return self._network(FaultKind.CUT_ONEWAY, sender, receiver)

    def cut_overlay(self, a: str, b: str) -> Fault:
        """Only the overlay (WireGuard) between two sites is cut; public addresses work."""
        return self._network(FaultKind.CUT_OVERLAY, *sorted((a, b)))

    def block_port(self, site: str, port: int) -> Fault:
        """No other site reaches this TCP or UDP port of a site."""
        if not 0 < port < 65_536:
            raise LabError(f"port {port} does not exist; take one from 1 to 65535")
        return self._network(FaultKind.BLOCK_PORT, site, str(port))

    def slow_link(
        self, a: str, b: str, *, delay_ms: float, jitter_ms: float = 0.0, loss: float = 0.0
    ) -> Fault:
        """Each packet between two sites comes `delay_ms` later, in each direction.

        `jitter_ms`: up to so much later still, by chance. `loss`: share of packets lost, 0 to 1.
        """
        slow = Slowness(delay_ms=delay_ms, jitter_ms=jitter_ms, loss=loss)
        with self._file.lock():
            return self._keep(link.slow(self._fleet, self.active(), slow, between=(a, b)))

    # The box

    def small_disk(self, site: str) -> None:
        """Give the site a small disk of its own, in memory, until the lab goes down.

        Restarts the site's processes. A fault that fills a disk needs it, and calls this itself;
        called before, it lets the processes come up in peace.
        """
        with self._file.lock():
            disk.make_small(self._fleet, site)

    def fill_disk(self, site: str) -> Fault:
        """The site's disk has no byte left."""
        with self._file.lock():
            return self._keep(disk.fill(self._fleet, site))

    def skew_clock(self, site: str, *, by_s: float) -> Fault:
        """The wall clock of the site's processes is wrong by `by_s` seconds (late: negative).

        Monotonic clocks go right. The first time restarts the site's processes; afterwards they
        see their clock jump within a second.
        """
        with self._file.lock():
            return self._keep(clock.skew(self._fleet, site, by_s))

    def api_errors(self, site: str, *, mode: str = "http_500", for_s: float = 600.0) -> Fault:
        """The site's simulated device, or fly's Machines API at the control plane's site, fails.

        `mode`: see `deploy.lab.simulators.faults.Mode` and `…simulators.fly.faults.Mode`. It
        ends by itself after `for_s` seconds.
        """
        with self._file.lock():
            return self._keep(device.switch(self._fleet, site, mode, for_s))

    # Mending

    def active(self) -> tuple[Fault, ...]:
        """The faults that are on, oldest first."""
        return self._file.read()

    def heal(self, fault_id: str | None = None) -> tuple[str, ...]:
        """Undo one fault by its id, or all; returns the ids of what was undone.

        All are tried; raises the first LabError of those that cannot be undone: they stay on.
        """
        with self._file.lock():
            chosen = [f for f in self.active() if fault_id in (None, f.id)]
            if fault_id is not None and not chosen:
                on = ", ".join(f.id for f in self.active()) or "none"
                raise LabError(f"no fault {fault_id!r} is on; on are: {on}")
            # Links first: what is started again finds the others.
            chosen.sort(key=lambda fault: fault.kind not in rules.NETWORK_KINDS)
            errors = list(filter(None, map(self._undo, chosen)))
        if errors:
            raise errors[0]
        return tuple(f.id for f in chosen)

    def end(self) -> None:
        """Undo every fault of a lab whose processes have ended, what `heal` leaves included."""
        with self._file.lock():
            helpers = [fault.helper for fault in self.active() if fault.helper]
            processes.stop(helpers)
            disk.put_back(self.paths, self.shape.names)
            clock.forget(self.paths, self.shape.names)
            self.paths.faults.unlink(missing_ok=True)

    # Steps

    @property
    def _file(self) -> FaultFile:
        return FaultFile(self.paths.faults)

    @property
    def _fleet(self) -> RunningFleet:
        return RunningFleet(paths=self.paths, topology=self.shape)

    def _keep(self, fault: Fault) -> Fault:
        self._file.add(fault)
        return fault

    def _network(self, kind: FaultKind, *where: str) -> Fault:
        fleet = self._fleet
        fleet.check_sites(*(where[:1] if kind is FaultKind.BLOCK_PORT else where))
        fleet.netns(where[0])
        with self._file.lock():
            fault = self._keep(Fault(kind=kind, where=where))
            network.apply(fleet, self.active())
            return fault

    def _undo(self, fault: Fault) -> LabError | None:
        self._file.remove(fault.id)
        try:
            if fault.kind in rules.NETWORK_KINDS:
                network.apply(self._fleet, self.active())
            else:
                undo.WHILE_IT_RUNS[fault.kind](self._fleet, fault)
        except LabError as error:
            self._file.add(fault)
            return error
        return None

    def _forget(self, kind: FaultKind, site: str, process: str) -> None:
        for fault in self.active():
            if fault.kind is kind and fault.where[0] == site and process in (ALL, fault.where[1]):
                self._file.remove(fault.id)
