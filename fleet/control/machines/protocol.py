"""What the control plane wants of a provider of machines, and what it gets to know."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineInfo:
    """A machine as the provider describes it; the description may be old, or wrong.

    `state` is the provider's own word (`stopped`, `starting`, `started`, `suspended`, …).
    `instance_id` names the version of the machine's configuration.
    """

    id: str
    name: str
    state: str
    region: str = ""
    instance_id: str = ""
    private_ip: str = ""
    updated_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineLease:
    """The right to change a machine alone; `expires_at_s` in seconds since 1970, their clock."""

    nonce: str
    expires_at_s: int
    owner: str = ""
    description: str = ""


class Machines(Protocol):
    """Machines of one app. Start, stop and suspend return when the call was taken, not done.

    Every method raises the errors of `fleet.control.machines.errors`. `nonce` proves a lease;
    without one a leased machine refuses to change.
    """

    def list(self) -> tuple[MachineInfo, ...]:
        """Every machine of the app."""
        ...

    def get(self, machine_id: str) -> MachineInfo:
        """One machine."""
        ...

    def start(self, machine_id: str, *, nonce: str = "") -> str:
        """Start a machine that is stopped, or resume one that is suspended.

        Returns the state that it had before.
        """
        ...

    def stop(self, machine_id: str, *, nonce: str = "") -> None:
        """Stop it: its processes get TERM. A suspended one loses its snapshot."""
        ...

    def suspend(self, machine_id: str, *, nonce: str = "") -> None:
        """Freeze it with its memory. It resumes with sockets that are dead and an old clock."""
        ...

    def wait(
        self, machine_id: str, state: str, *, timeout_s: float = 60.0, instance_id: str = ""
    ) -> None:
        """Return when the machine is `started`, `stopped` or `suspended`.

        Raises StateNotReachedError after `timeout_s` (1 to 60). `instance_id` is needed for
        `stopped`.
        """
        ...

    def lease(
        self, machine_id: str, *, ttl_s: int, description: str = "", nonce: str = ""
    ) -> MachineLease:
        """Take the lease for `ttl_s` seconds; with the `nonce` of a held one, renew that."""
        ...

    def release(self, machine_id: str, nonce: str) -> None:
        """Give the lease back."""
        ...
