"""The site's own view of the fleet's mode: normal, without the control plane, or alone."""

import logging

from fleet.policy.confirmation import Memory, held_s
from fleet.policy.modes import FLEET_MODES, Evidence, Mode, ModeState, next_mode
from fleet.policy.timing import Timing
from fleet.policy.verdict import Kind
from probes.watch.watcher import Snapshot
from tasks.box import Box
from tasks.journal.database import set_meta

log = logging.getLogger(__name__)
#: Kept in the journal: an agent that is started anew on an island must not forget that it is
#: one, and take the other sites' claims for lost before it has found out again.
_KEPT_AS = "local_mode"


class LocalMode:
    """`step` computes the mode from what the site's watch found; a change is logged."""

    def __init__(self, box: Box, control: str, timing: Timing) -> None:
        self._box, self._control, self._timing = box, control, timing
        self._site = box.settings.site
        self._state = _kept(box)
        self._alone_s = 0.0
        if self._state.mode is not Mode.NORMAL:
            log.info("mode %s, as before this start", self._state.mode)

    @property
    def mode(self) -> Mode:
        return self._state.mode

    def step(self, snapshot: Snapshot, epoch: int) -> bool:
        """Whether the mode has changed. Raises StorageError; the change counts all the same."""
        before = self._state.mode
        self._alone_s = held_s(
            snapshot.memories.get(self._site, Memory()), Kind.SELF_ISOLATED, snapshot.at_s
        )
        evidence = Evidence(
            me=self._site,
            control=self._control,
            kinds={site: verdict.kind for site, verdict in snapshot.verdicts.items()},
            alone_s=self._alone_s,
        )
        state = ModeState(mode=self._state.mode, site=self._state.site, epoch=epoch)
        for _ in Mode:  # one change may open the way for another
            state, reason = next_mode(state, evidence, self._timing)
            if state.mode is not self._state.mode:
                log.info("mode %s: %s", state.mode, reason)
            self._state = state
        if state.mode is not before:
            self._keep(state.mode)
        return state.mode is not before

    def isolation(self) -> str:
        """Why the site counts as cut off from everybody now; "" when it does not."""
        if self._alone_s < self._timing.confirm_s:
            return ""
        return f"{self._site} is cut off: nobody was heard for {self._alone_s:.0f} s"

    def _keep(self, mode: Mode) -> None:
        with self._box.database.write() as connection:
            set_meta(connection, _KEPT_AS, mode.value)


def _kept(box: Box) -> ModeState:
    """A LAN's own view only; whatever else the journal says begins as normal."""
    text = box.database.meta(_KEPT_AS, Mode.NORMAL.value)
    known = {mode.value: mode for mode in set(Mode) - FLEET_MODES}
    mode = known.get(text, Mode.NORMAL)
    return ModeState(mode=mode, site=box.settings.site if mode is Mode.ISLAND else "")
