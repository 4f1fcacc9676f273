"""Write what each box of the lab reads: turtle.toml, secrets, an example repository."""

import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deploy.lab.example_repository import make_example
from deploy.lab.files import private_folder, write_private
from deploy.lab.paths import LabPaths
from deploy.lab.secret_files import SecretFiles
from deploy.render import acl
from deploy.render.addresses import FleetAddresses
from deploy.render.turtle_toml import (
    BoxPlaces,
    ControlPlanePlaces,
    DevicePlace,
    MachinesPlace,
    MoverPlace,
    broker_user,
    home_of,
    standby_toml,
    turtle_toml,
)
from deploy.topology import Site, Topology

ADMIN_USER = "admin"
FLOWER_USER = "turtle"
#: Shrinks the intervals of failure detection of a lab that is started: 0.2 is five times as fast.
TIME_SCALE = "TURTLE_LAB_TIME_SCALE"
DEVICE_USER = "turtle"
DEVICE_CAPABILITIES = ("udm", "openwrt")
#: The app and the machine of the lab's Machines API.
MACHINES_APP = "turtle-standby"
STANDBY_MACHINE = "5714790ef5a1d8"
COMMANDS = ("echo", "git", "ls", "sleep", "uname")


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFiles:
    """The lab's files outside of the broker."""

    paths: LabPaths
    topology: Topology
    addresses: FleetAddresses
    secrets: SecretFiles

    @property
    def control_url(self) -> str:
        return f"http://{self.addresses.control}"

    def write(self) -> None:
        """Write everything; secrets that exist are kept."""
        keys = {home: self.secrets.home_public_key(home) for home in self.topology.home_numbers}
        for site in self.topology.sites:
            private_folder(self.paths.state(site.name))
            if "dev" in site.capabilities:
                make_example(private_folder(self.paths.work(site.name)))
            write_private(self.paths.config(site.name), self.box_toml(site, keys))
        self._write_standby(keys)
        write_private(self.paths.provision, json.dumps(self.provision(keys), indent=2) + "\n")

    def box_toml(self, site: Site, public_keys: dict[str, str]) -> str:
        """The text of one box's turtle.toml."""
        return turtle_toml(
            self.topology,
            self.addresses,
            site=site.name,
            places=self._places(site),
            public_keys=public_keys,
            control_plane=self._control_plane(site) if site.control_plane else None,
        )

    @property
    def standby_config(self) -> Path:
        """The standby box's turtle.toml."""
        return self.paths.standby(self.topology.control_site.name) / "turtle.toml"

    def _write_standby(self, public_keys: dict[str, str]) -> None:
        site = self.topology.control_site
        if self.addresses.machines is None or self.addresses.sites[site.name].standby is None:
            return
        folder = private_folder(self.paths.standby(site.name))
        private_folder(folder / "state")
        make_example(private_folder(folder / "work"))
        places = replace(
            self._places(site),
            state_dir=folder / "state",
            broker_password_file=self.secrets.redis_password(acl.worker_user(site.name)),
            signing_key_file=None,
            dev_roots=(folder / "work",),
        )
        text = standby_toml(self.topology, self.addresses, places=places, public_keys=public_keys)
        write_private(self.standby_config, text)

    def device_capability(self, site: Site) -> str | None:
        """Which device of the site the lab simulates."""
        return next((c for c in DEVICE_CAPABILITIES if c in site.capabilities), None)

    def device_password(self, capability: str) -> Path:
        return self.secrets.password(f"device-{capability}")

    def flower_auth(self) -> Path:
        return self.secrets.basic_auth("flower", FLOWER_USER)

    def admin_password(self) -> Path:
        return self.secrets.password(ADMIN_USER)

    def provision(self, public_keys: dict[str, str]) -> dict[str, Any]:
        """What the control plane's database has to know before its first start."""
        return {
            "sites": [
                {
                    "name": site.name,
                    "number": site.number,
                    "title": site.title,
                    "note": site.note,
                    "capabilities": list(site.capabilities),
                }
                for site in self.topology.sites
            ],
            "tokens": self._tokens(),
            "admin": {"username": ADMIN_USER, "password_file": str(self.admin_password())},
            "homes": {
                home: {"public_key": public_keys[home], "number": number}
                for home, number in self.topology.home_numbers.items()
            },
        }

    def _tokens(self) -> list[dict[str, str | None]]:
        agents = [(f"agent-{site}", "agent", site) for site in self.topology.names]
        people = [("operator", "operate", None), ("reader", "read", None)]
        return [
            {
                "name": name,
                "scope": scope,
                "site": site,
                "file": str(self.secrets.api_token(name)),
            }
            for name, scope, site in (*agents, *people)
        ]

    def _places(self, site: Site) -> BoxPlaces:
        return BoxPlaces(
            state_dir=self.paths.state(site.name),
            broker_password_file=self.secrets.redis_password(broker_user(site)),
            sentinel_password_file=self.secrets.redis_password(acl.SENTINEL_CLIENT),
            agent_token_file=self.secrets.api_token(f"agent-{site.name}"),
            signing_key_file=self.secrets.home_key(home_of(site)),
            control_url=f"http://{self.addresses.control_from_boxes}",
            device=self._device(site),
            dev_roots=(self.paths.work(site.name),),
            dev_commands=_commands(),
            time_scale=float(os.environ.get(TIME_SCALE, "1")),
        )

    def _device(self, site: Site) -> DevicePlace | None:
        capability = self.device_capability(site)
        address = self.addresses.sites[site.name].device
        if capability is None or address is None:
            return None
        return DevicePlace(
            capability=capability,
            url=f"http://{address}",
            username=DEVICE_USER,
            password_file=self.device_password(capability),
        )

    def _control_plane(self, site: Site) -> ControlPlanePlaces:
        ledger = self.paths.root / site.name / "ledger.sqlite3"
        return ControlPlanePlaces(
            secret_key_file=self.secrets.django_key(),
            database_url=f"sqlite:///{ledger}",
            allowed_hosts=tuple(dict.fromkeys(self._control_hosts())),
            csrf_trusted_origins=(self.control_url,),
            flower_url=f"http://{self.addresses.flower}",
            flower_auth_file=self.flower_auth(),
            insecure_http=True,
            mover=MoverPlace(
                password_file=self.secrets.redis_password(acl.MOVER),
                sentinel_password_file=self.secrets.redis_password(acl.SENTINEL_MOVER),
            ),
            machines=self._machines(),
        )

    def _machines(self) -> MachinesPlace | None:
        if self.addresses.machines is None:
            return None
        return MachinesPlace(
            url=f"http://{self.addresses.machines}",
            app=MACHINES_APP,
            token_file=self.secrets.machines_token(),
            machine_id=STANDBY_MACHINE,
        )

    def _control_hosts(self) -> tuple[str, ...]:
        """The names by which the control plane is asked for."""
        addresses = self.addresses
        hosts = (addresses.control.host, addresses.control_from_boxes.host)
        return (*hosts, "127.0.0.1", "localhost")


def _commands() -> dict[str, Path]:
    """Where this machine has the programs that the lab's `dev` tasks may start."""
    found = {name: shutil.which(name) for name in COMMANDS}
    return {name: Path(path) for name, path in found.items() if path}
