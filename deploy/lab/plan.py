"""Which processes the lab runs beside the brokers, and with which commands."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.lab.paths import REPOSITORY
from deploy.lab.processes import ProcessSpec, base_environment
from deploy.lab.site_files import DEVICE_USER, MACHINES_APP, STANDBY_MACHINE, SiteFiles
from deploy.lab.wrong_clock import wrong_clock
from deploy.render.addresses import HostPort
from deploy.render.systemd import worker_arguments
from deploy.topology import Site

SIMULATORS = {"udm": "unifi", "openwrt": "openwrt"}
WORKER_CONCURRENCY = 2
DJANGO_VARIABLE = "DJANGO_SETTINGS_MODULE"
DJANGO_SETTINGS = "turtle_site.settings"
MACHINES_PROCESS = "sim-fly"
#: Within what `turtle lab down` gives a process: the standby's two parts, then their machine.
STANDBY_PART_S = 8.0
MACHINE_KILL_AFTER_S = 18.0


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """The commands of the lab's processes."""

    files: SiteFiles

    def simulators(self) -> Iterator[ProcessSpec]:
        """The devices of the LANs, and fly Machines with the standby's machine."""
        for site in self.files.topology.sites:
            capability = self.files.device_capability(site)
            address = self.files.addresses.sites[site.name].device
            if capability and address:
                yield self._simulator(site, capability, address)
        yield from self._machines()

    def control_plane(self) -> Iterator[ProcessSpec]:
        """One supervisor with its parts: web, loop, beat, the site's agent, Flower."""
        site = self.files.topology.control_site
        yield self._spec(
            site,
            "control",
            (*self.manage("control"), *_listen(self.files.addresses.control_listens_at)),
            address=self.files.addresses.control,
        )

    def agents(self) -> Iterator[ProcessSpec]:
        """One agent a LAN; the control plane's site has its own under the supervisor."""
        for site in self.files.topology.sites:
            if site.control_plane:
                continue
            address = self.files.addresses.sites[site.name].agent
            yield self._spec(site, "agent", _python("probes.agent"), address=address)

    def workers(self) -> Iterator[ProcessSpec]:
        """One worker for each site that has capabilities."""
        for site in self.files.topology.worker_sites:
            options = ("--concurrency", str(WORKER_CONCURRENCY))
            yield self._spec(site, "worker", _python("celery", *worker_arguments(site), *options))

    def every(self) -> Iterator[ProcessSpec]:
        """All of the processes above."""
        yield from self.simulators()
        yield from self.control_plane()
        yield from self.agents()
        yield from self.workers()

    def manage(self, *arguments: str) -> tuple[str, ...]:
        """A command of the control plane's Django."""
        return (sys.executable, str(REPOSITORY / "manage.py"), *arguments)

    def one_time(self, name: str, *arguments: str) -> ProcessSpec:
        """A Django command that runs to its end before the control plane starts."""
        return self._spec(self.files.topology.control_site, name, self.manage(*arguments))

    def environment(self, site: Site) -> dict[str, str]:
        """The environment of every process of a site."""
        env = base_environment(Path(sys.executable).parent)
        env["TURTLE_CONFIG"] = str(self.files.paths.config(site.name))
        env["PYTHONUNBUFFERED"] = "1"
        if site.control_plane:
            env[DJANGO_VARIABLE] = DJANGO_SETTINGS
        else:
            env.pop(DJANGO_VARIABLE, None)
        return env | wrong_clock(self.files.paths.clock(site.name))

    def _simulator(self, site: Site, capability: str, address: HostPort) -> ProcessSpec:
        name = SIMULATORS[capability]
        password = str(self.files.device_password(capability))
        return self._spec(
            site,
            f"sim-{name}",
            _python(
                f"deploy.lab.simulators.{name}",
                *_listen(address),
                *("--username", DEVICE_USER, "--password-file", password),
            ),
            address=address,
        )

    def _machines(self) -> Iterator[ProcessSpec]:
        site = self.files.topology.control_site
        address = self.files.addresses.machines
        if address is None or site.standby_box is None:
            return
        options = (
            *("--token-file", str(self.files.secrets.machines_token())),
            *("--folder", str(self.files.paths.machines(site.name))),
            *("--app", MACHINES_APP, "--machine-id", STANDBY_MACHINE),
            *("--name", site.standby_box),
            *("--config", str(self.files.standby_config)),
            *("--kill-after-s", str(MACHINE_KILL_AFTER_S)),
        )
        standby = _python(
            "probes.standby",
            *("--within-s", str(STANDBY_PART_S), "--concurrency", str(WORKER_CONCURRENCY)),
        )
        command = _python("deploy.lab.simulators.fly", *_listen(address), *options, "--", *standby)
        spec = self._spec(site, MACHINES_PROCESS, command, address=address)
        # The machine's processes inherit it, and Celery looks for Django where this names one.
        yield replace(spec, env={k: v for k, v in spec.env.items() if k != DJANGO_VARIABLE})

    def _spec(
        self,
        site: Site,
        name: str,
        command: tuple[str, ...],
        *,
        address: HostPort | None = None,
    ) -> ProcessSpec:
        return ProcessSpec(
            site=site.name,
            name=name,
            command=command,
            log=self.files.paths.log(site.name, name),
            cwd=REPOSITORY,
            env=self.environment(site),
            address=str(address) if address else None,
            netns=self.files.addresses.sites[site.name].netns,
        )


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)


def _listen(address: HostPort) -> tuple[str, ...]:
    return ("--host", address.host, "--port", str(address.port))
