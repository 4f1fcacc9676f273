"""What the workers of this box may take: the control plane's word, and none while it is alone."""

import threading

from fleet.policy.intake import Intake
from probes.agent.watch import SiteWatch
from tasks.boot import boot_id, boot_s
from tasks.box import Box
from tasks.intake import IntakeFile
from tasks.journal.database import set_meta
from tasks.wire import Ack

#: A word that is not renewed for this long is forgotten: the site then works by itself.
WORD_HOLDS_S = 60.0


class Word:
    """Takes in answers to reports: rows of the others, the fleet's epoch, the intake.

    Safe for several threads at once.
    """

    def __init__(self, box: Box, watch: SiteWatch | None) -> None:
        self._box, self._watch = box, watch
        self._file = IntakeFile(box.settings.state_dir)
        self._taken: Ack | None = None
        self._said: Intake | None = None
        self._alone_until_s: float | None = None
        self._lock = threading.Lock()

    def take(self, ack: Ack | None) -> None:
        """Only the answer to a heartbeat (it names the epoch) says anything here."""
        if ack is None or ack is self._taken or not ack.epoch:
            return
        self._taken = ack
        if self._watch is not None:
            self._watch.watcher.take_rows(ack.rows)
            self._watch.watcher.public_path(self._watch.control)
            self._keep_epoch(self._watch, ack.epoch)
            self._watch.maintained(ack.maintenance_left_s)
        if not self._box.settings.standby:
            with self._lock:
                self._said, self._alone_until_s = _intake(ack), None
                self._file.write(self._said)

    def alone(self, why: str) -> None:
        """While the site is cut off (`why` says so) its workers take nothing through the broker.

        With "" the control plane's last word counts again, for as long as it holds. Call it at
        every beat. Raises StorageError.
        """
        with self._lock:
            if not why:
                if self._alone_until_s is not None:
                    self._file.write(self._said)
                    self._alone_until_s = None
                return
            now_s = boot_s()
            # Half of its time is left to renew it.
            if self._alone_until_s is None or now_s > self._alone_until_s - WORD_HOLDS_S / 2:
                until_s = now_s + WORD_HOLDS_S
                self._file.write(Intake(share=0.0, until_s=until_s, boot_id=boot_id(), reason=why))
                self._alone_until_s = until_s

    def _keep_epoch(self, watch: SiteWatch, epoch: int) -> None:
        if epoch > watch.epoch:
            watch.epoch = epoch
            with self._box.database.write() as connection:
                set_meta(connection, "fleet_epoch", str(epoch))


def _intake(ack: Ack) -> Intake | None:
    word = ack.intake
    if word is None:
        return None
    return Intake(
        share=float(word["share"]),
        pinned_only=bool(word["pinned_only"]),
        until_s=boot_s() + WORD_HOLDS_S,
        boot_id=boot_id(),
        reason=str(word["reason"]),
    )
