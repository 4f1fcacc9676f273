"""Asking the control plane for the standby, for as long as the other LAN is down."""

import logging
import time
from typing import Any

import httpx

from fleet.policy.asking import Asking, answered, pause_s, subject_of
from fleet.policy.errors import FleetError, NetworkError
from fleet.policy.timing import Timing
from probes.watch.watcher import Snapshot, down
from tasks.settings import ControlSettings

log = logging.getLogger(__name__)
TIMEOUT_S = 5.0


class Activator:
    """One `step` looks at the verdicts and asks when it is time. A refusal is logged once."""

    def __init__(self, control: ControlSettings, control_site: str, timing: Timing) -> None:
        self._control_site, self._timing = control_site, timing
        self._client = httpx.Client(
            base_url=control.url.rstrip("/"),
            headers={"Authorization": f"Bearer {control.token()}"},
            timeout=TIMEOUT_S,
        )
        self._next_s = 0.0
        self._asking = Asking()
        self._said = ""

    def step(self, snapshot: Snapshot, epoch: int) -> None:
        """Raises NetworkError when the control plane does not answer."""
        now_s = time.monotonic()
        lost = [site for site in down(snapshot) if site != self._control_site]
        subject = subject_of(self._asking, lost, now_s, self._timing)
        if not subject or now_s < self._next_s:
            return
        self._next_s = now_s + pause_s(granted=False, timing=self._timing)
        self._ask(subject, now_s - snapshot.at_s, epoch)

    def _ask(self, subject: str, age_s: float, epoch: int) -> None:
        """A renewal goes on while the lost site ramps up; the control plane says when not."""
        body = {
            "down": subject,
            "evidence_age_s": round(age_s, 3),
            "generation": self._asking.generation,
            "epoch": epoch,
        }
        sent_s = time.monotonic()
        answer = self._post(body)
        reason, granted = str(answer["reason"]), bool(answer["granted"])
        if reason != self._said:
            log.info("standby for %s: %s", subject, reason)
            self._said = reason
        self._asking = answered(
            self._asking,
            subject,
            granted=granted,
            generation=int(answer["generation"]),
            now_s=sent_s,
        )
        self._next_s = sent_s + pause_s(granted=granted, timing=self._timing)

    def _post(self, body: dict[str, object]) -> dict[str, Any]:
        try:
            answer = self._client.post("/api/v1/standby/lease", json=body)
        except httpx.HTTPError as error:
            raise NetworkError(f"control plane: {type(error).__name__}") from error
        if answer.status_code >= 500:
            raise NetworkError(f"control plane answered {answer.status_code}")
        if answer.status_code != 200:
            raise FleetError(f"control plane refused ({answer.status_code}): {answer.text[:200]}")
        found: dict[str, Any] = answer.json()
        return found
