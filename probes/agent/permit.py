"""The standby machine's leave to work: asked for often, counted from before the question."""

import logging

import httpx

from fleet.policy.errors import FleetError, NetworkError
from fleet.policy.intake import Intake
from fleet.policy.lease import Permit, ends_s
from fleet.policy.timing import Timing
from tasks.boot import boot_id, boot_s
from tasks.intake import IntakeFile
from tasks.settings import ControlSettings

log = logging.getLogger(__name__)
TIMEOUT_S = 2.0
#: Asked this many times while one lease lives, so that a lost answer costs nothing.
ASKS_A_LEASE = 10


class PermitKeeper:
    """One `step` asks once and writes the word for the workers of this box."""

    def __init__(self, control: ControlSettings, file: IntakeFile, timing: Timing) -> None:
        self._file, self._timing = file, timing
        self._client = httpx.Client(
            base_url=control.url.rstrip("/"),
            headers={"Authorization": f"Bearer {control.token()}"},
            timeout=TIMEOUT_S,
        )
        self._said = False
        self.every_s = timing.lease_ttl_s / ASKS_A_LEASE

    def step(self) -> None:
        """Raises NetworkError when nobody answers: the last word then runs out by itself."""
        permit = self._ask()
        allowed = permit.ttl_s > 0
        if allowed != self._said:
            log.info(
                "the standby %s",
                f"works under lease {permit.generation}"
                if allowed
                else "stops taking tasks: no lease",
            )
            self._said = allowed
        self._file.write(
            Intake(
                share=1.0 if allowed else 0.0,
                until_s=ends_s(permit, timing=self._timing),
                boot_id=permit.boot_id,
                generation=permit.generation,
                reason=f"lease {permit.generation}" if allowed else "no lease",
            )
        )

    def _ask(self) -> Permit:
        sent_s, boot = boot_s(), boot_id()
        try:
            answer = self._client.get("/api/v1/standby/permit")
        except httpx.HTTPError as error:
            raise NetworkError(f"control plane: {type(error).__name__}") from error
        if answer.status_code >= 500:
            raise NetworkError(f"control plane answered {answer.status_code}")
        if answer.status_code != 200:
            raise FleetError(f"control plane refused ({answer.status_code}): {answer.text[:200]}")
        said = answer.json()
        return Permit(
            generation=int(said["generation"]),
            sent_s=sent_s,
            boot_id=boot,
            ttl_s=float(said["left_s"]),
        )
