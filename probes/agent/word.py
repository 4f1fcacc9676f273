"""What the control plane says in its answers, put where it is obeyed."""

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
    """Takes in answers to reports: rows of the others, the fleet's epoch, the intake."""

    def __init__(self, box: Box, watch: SiteWatch | None) -> None:
        self._box, self._watch = box, watch
        self._file = IntakeFile(box.settings.state_dir)
        self._taken: Ack | None = None

    def take(self, ack: Ack | None) -> None:
        """Only the answer to a heartbeat (it names the epoch) says anything here."""
        if ack is None or ack is self._taken or not ack.epoch:
            return
        self._taken = ack
        if self._watch is not None:
            self._watch.watcher.take_rows(ack.rows)
            self._watch.watcher.public_path(self._watch.control)
            self._keep_epoch(self._watch, ack.epoch)
        if not self._box.settings.standby:
            self._file.write(_intake(ack))

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
