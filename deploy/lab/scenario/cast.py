"""The witnesses of one scenario as processes: producers, writers at each Redis, the lease's."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from deploy.lab import processes
from deploy.lab.paths import REPOSITORY
from deploy.lab.plan import ProcessPlan
from deploy.lab.processes import ProcessRecord, ProcessSpec, base_environment
from deploy.lab.scenario.lease_probe import ready_file
from deploy.lab.scenario.stage import Stage
from deploy.lab.waiting import wait_until
from deploy.render import acl

#: Share of the tasks that programs on the LANs hand in to their own site.
AT_HOME_SHARE = 0.1
#: They get a last answer within 10 s.
END_WITHIN_S = 15.0
READY_WITHIN_S = 20.0


@dataclass(kw_only=True)
class Cast:
    """Starts and ends the witnesses; they write below `folder`."""

    stage: Stage
    folder: Path
    prefix: str
    rate_per_s: float
    sleep_s: float
    producers: list[ProcessRecord] = field(default_factory=list)
    probes: list[ProcessRecord] = field(default_factory=list)

    def enter(self) -> None:
        """Start all; those that only watch come first, and watch before anything is handed in.

        Raises NotReadyError when the control plane does not tell of its lease.
        """
        self.probes += [processes.start(spec) for spec in self._probes()]
        control = self.stage.topology.control_site.name
        ready = ready_file(self._out("lease_probe", control))
        wait_until(ready.exists, deadline_s=READY_WITHIN_S, what="an answer about the lease")
        self.producers += [processes.start(spec) for spec in self._producers()]

    def stop_producing(self) -> None:
        """End the producers; a key that was asked for still gets its answer."""
        processes.stop(self.producers, deadline_s=END_WITHIN_S)
        self.producers.clear()

    def leave(self) -> None:
        """End all."""
        self.stop_producing()
        processes.stop(self.probes)
        self.probes.clear()

    def _producers(self) -> Iterator[ProcessSpec]:
        files = self.stage.fleet.files
        token = str(files.secrets.api_token("operator"))
        lans = [site.name for site in self.stage.topology.worker_sites]
        share = AT_HOME_SHARE * len(lans)
        api = ("--api-url", self.stage.state.api_url, "--token-file", token)
        pins = tuple(word for site in lans for word in ("--pin", site))
        yield self._spec("control", "producer", self._calls("api", 1 - share) + api + pins)
        plan = ProcessPlan(files)
        for site in lans:
            yield self._spec(
                site,
                "producer",
                self._calls(site, AT_HOME_SHARE),
                env=plan.environment(self.stage.topology.site(site)),
                netns=files.addresses.sites[site].netns,
            )

    def _calls(self, who: str, share: float) -> tuple[str, ...]:
        rate = f"{self.rate_per_s * share:g}"
        prefix = f"{self.prefix}-{who}"
        return ("--prefix", prefix, "--rate", rate, "--sleep-s", f"{self.sleep_s:g}")

    def _probes(self) -> Iterator[ProcessSpec]:
        files = self.stage.fleet.files
        password = str(files.secrets.redis_password(acl.CONTROL))
        for site, addresses in files.addresses.sites.items():
            options = (
                *("--site", site, "--address", str(addresses.redis)),
                *("--user", acl.CONTROL, "--password-file", password),
            )
            yield self._spec(site, "writer_probe", options)
        control = self.stage.topology.control_site.name
        token = str(files.secrets.api_token(f"agent-{control}"))
        asked = ("--site", control, "--api-url", self.stage.state.api_url, "--token-file", token)
        yield self._spec(control, "lease_probe", asked)

    def _spec(
        self,
        site: str,
        module: str,
        options: tuple[str, ...],
        *,
        env: dict[str, str] | None = None,
        netns: str | None = None,
    ) -> ProcessSpec:
        out = self._out(module, site)
        command = (sys.executable, "-m", f"deploy.lab.scenario.{module}", "--out", str(out))
        return ProcessSpec(
            site=site,
            name=module,
            command=(*command, *options),
            log=self.folder / "witness" / f"{module}-{site}.log",
            cwd=REPOSITORY,
            env=env or base_environment(Path(sys.executable).parent),
            netns=netns,
        )

    def _out(self, module: str, site: str) -> Path:
        return self.folder / "witness" / f"{module}-{site}" / FILES[module]


FILES = {
    "producer": "accepted.jsonl",
    "writer_probe": "acks.jsonl",
    "lease_probe": "lease.jsonl",
}
