"""Shipping the journal to the control plane: in order, acknowledged, at once when idle."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import httpx

from fleet.policy.errors import ConfigurationError, FleetError, NetworkError
from fleet.policy.liveness import HEARTBEAT_S
from tasks.box import Box
from tasks.settings import ControlSettings
from tasks.wire import MAX_ENTRIES, Ack, Heartbeat, Mail, Report

TIMEOUT_S = 10.0


class Reporter:
    """Sends what is not acknowledged yet; the journal keeps it until it is."""

    def __init__(self, box: Box, control: ControlSettings) -> None:
        self._box = box
        self._client = httpx.Client(
            base_url=control.url.rstrip("/"),
            headers={"Authorization": f"Bearer {control.token()}"},
            timeout=TIMEOUT_S,
        )
        self._journal = box.database.journal_id()
        self._last_beat = float("-inf")
        self._beat_every_s = HEARTBEAT_S
        self._expected: int | None = None
        self.last_ack: Ack | None = None

    def beat_soon(self, within_s: float) -> None:
        """Have the next heartbeat not later than this long after the last one."""
        self._beat_every_s = min(within_s, HEARTBEAT_S)

    def beat_due(self) -> bool:
        """Whether it is time for a heartbeat even if there is nothing to report."""
        return time.monotonic() - self._last_beat >= self._beat_every_s

    def seconds_to_beat(self) -> float:
        return max(0.0, self._last_beat + self._beat_every_s - time.monotonic())

    def send(
        self, heartbeat: Callable[[], Heartbeat], *, wants_mail: bool = False
    ) -> tuple[bool, list[Mail]]:
        """One report; returns whether more lines wait, and the mail that came back.

        With nothing to say and no heartbeat due, nothing is sent unless mail is wanted.

        Raises NetworkError (control plane away) or ConfigurationError (token refused).
        """
        after = self._box.entries.acked() if self._expected is None else self._expected - 1
        entries = self._box.entries.after(after, MAX_ENTRIES)
        beat = heartbeat() if self.beat_due() else None
        if not entries and beat is None and not wants_mail:
            return False, []
        report = Report(
            site=self._box.settings.site,
            box=self._box.settings.box,
            journal=self._journal,
            first_seq=after + 1,
            entries=entries,
            heartbeat=beat,
            mail_ack=int(self._box.database.meta("mail_ack", "0")),
        )
        ack = self._post(report)
        if beat is not None:
            self._last_beat = time.monotonic()
        if ack is None:
            return True, []
        self._expected = None
        self.last_ack = ack
        self._box.entries.acknowledge(ack.ack)
        seen = int(self._box.database.meta("mail_ack", "0"))
        return len(entries) == MAX_ENTRIES, [m for m in ack.mail if m.id > seen]

    def _post(self, report: Report) -> Ack | None:
        """The acknowledgement, or None when the control plane wants other lines first."""
        try:
            answer = self._client.post(
                "/api/v1/reports",
                content=report.model_dump_json(),
                headers={"Content-Type": "application/json"},
            )
        except httpx.HTTPError as error:
            raise NetworkError(f"control plane: {type(error).__name__}: {error}") from error
        if answer.status_code == 409:
            self._expected = int(answer.json()["expected"])
            return None
        if answer.status_code in (401, 403):
            raise ConfigurationError(
                f"the control plane refused this box's token ({answer.status_code}): "
                f"{answer.text[:200]}"
            )
        if answer.status_code >= 500:
            raise NetworkError(f"control plane answered {answer.status_code}")
        if answer.status_code != 200:
            raise FleetError(
                f"control plane refused the report ({answer.status_code}): {answer.text[:300]}"
            )
        return Ack.model_validate_json(answer.content)

    def close(self) -> None:
        self._client.close()


def utc_now() -> datetime:
    return datetime.now(UTC)
