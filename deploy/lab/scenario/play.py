"""Play one scenario on a stage, and judge it by what the witnesses wrote."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.lab.errors import LabError, NotReadyError
from deploy.lab.history.check import check
from deploy.lab.history.records import History, read_history
from deploy.lab.scenario import evidence
from deploy.lab.scenario.cast import Cast
from deploy.lab.scenario.effect_files import EffectFiles
from deploy.lab.scenario.evidence import Ledger
from deploy.lab.scenario.measure import measured, unexpected
from deploy.lab.scenario.result import Result, Status
from deploy.lab.scenario.script import Act, Do, Scenario
from deploy.lab.scenario.stage import Stage
from deploy.lab.scenario.timeline import Timeline
from deploy.lab.scenario.witness import Witness
from deploy.lab.waiting import wait_until
from fleet.policy.timing import TIMING

#: Load before the first fault, so that there is something to lose.
WARM_UP_S = 3.0
SLEEP_S = 0.05


@dataclass(kw_only=True)
class Play:
    """One performance. All of it lies below `folder`."""

    stage: Stage
    scenario: Scenario
    folder: Path
    seed: int
    time_scale: float
    pause: threading.Event = field(default_factory=threading.Event)

    def run(self) -> Result:
        """Prepare, break, mend, settle, judge. A fault that cannot be made is a broken case."""
        began_s = time.monotonic()
        try:
            self._prepare()
            if self.scenario.master:
                self.stage.lead(self.scenario.master)
            result = self._perform()
        except LabError as error:
            result = self._result(Status.BROKEN, [f"could not be played: {error}"], {})
        result.seconds = round(time.monotonic() - began_s, 1)
        text = json.dumps(result.as_json(), indent=2) + "\n"
        (self.folder / "case.json").write_text(text, encoding="utf-8")
        if result.status is not Status.GREEN:
            evidence.keep(self.stage.paths, self._ledger, self.folder)
        return result

    def _prepare(self) -> None:
        """A whole lab that owes nothing to an earlier case: damping would hold a site back."""
        if not self._ledger.is_normal():
            self.stage.up_anew()
        self.stage.make_whole()
        small = self.scenario.may_end_at()
        for site in small:
            self.stage.give_small_disk(site)
        if small:
            self.stage.make_whole()

    def _perform(self) -> Result:
        prefix = f"s{self.seed}-{time.monotonic_ns():x}"
        files = EffectFiles(root=self.stage.paths.root, folder=self.folder, prefix=prefix)
        files.begin()
        cast = Cast(
            stage=self.stage,
            folder=self.folder,
            prefix=prefix,
            rate_per_s=self.scenario.rate_per_s,
            sleep_s=SLEEP_S,
        )
        timeline = self._timeline()
        with evidence.watched(self._ledger, self.folder / "matrix.jsonl"):
            try:
                cast.enter()
                self._warm(files)
                self._acts(timeline)
                cast.stop_producing()
                ended = self.stage.ended()
                self.stage.start_again(ended)
                settled_s = self._settle(files)
                ended += self.stage.ended()
            finally:
                cast.leave()
                self.stage.mend_all()
        files.look()
        allowed = self.scenario.may_end_at()
        also = [f"{name} of {site} ended by itself" for site, name in ended if site not in allowed]
        return self._judge(read_history(self.folder), timeline, settled_s, also)

    def _warm(self, files: EffectFiles) -> None:
        """Load must flow before anything is broken, or the case would show nothing."""

        def flows() -> bool:
            files.look()
            return bool(files.done)

        wait_until(flows, deadline_s=30.0, what="first effects before any fault", interval_s=0.2)
        self.pause.wait(WARM_UP_S)

    def _acts(self, timeline: Timeline) -> None:
        for act in self.scenario.acts:
            began_s = time.monotonic()
            self._deeds[act.do](act, timeline)
            timeline.add(str(act.do), act.words(), began_s)

    @property
    def _deeds(self) -> dict[Do, Callable[[Act, Timeline], None]]:
        return {
            Do.WAIT: lambda act, timeline: self._wait(act),
            Do.BREAK: self._break,
            Do.MEND: self._mend,
            Do.MEND_ALL: self._mend_all,
        }

    def _wait(self, act: Act) -> None:
        self.pause.wait(act.seconds(self.time_scale))

    def _break(self, act: Act, timeline: Timeline) -> None:
        if act.op is not None:
            self.stage.break_(act.op)
            timeline.broken(act.op)

    def _mend(self, act: Act, timeline: Timeline) -> None:
        if act.op is not None:
            timeline.mending([act.op])
            self.stage.mend(act.op)

    def _mend_all(self, act: Act, timeline: Timeline) -> None:
        timeline.mending(list(timeline.on))
        self.stage.mend_all()

    def _settle(self, files: EffectFiles) -> float | None:
        """Seconds until all that was accepted had taken effect, None if it did not in time."""
        began_s = time.monotonic()

        def all_done() -> bool:
            files.look()
            return not files.missing()

        try:
            wait_until(
                all_done,
                deadline_s=self.scenario.settle_s,
                what="effects of all accepted tasks",
                interval_s=0.3,
            )
        except NotReadyError:
            return None
        return round(time.monotonic() - began_s, 1)

    def _judge(
        self, history: History, timeline: Timeline, settled_s: float | None, also: list[str]
    ) -> Result:
        control = self.stage.topology.control_site.name
        verdict = check(history, standby=control, ttl_s=TIMING.lease_ttl_s * self.time_scale)
        why = [f"{v.rule}: {v.about}: {v.shown_by}" for v in verdict.violations]
        why = [*also, *why, *unexpected(self.scenario.expected, history, timeline, control)]
        figures = {
            **verdict.figures,
            **measured(history, timeline, control),
            "settled_after_s": settled_s,
        }
        result = self._result(Status.RED if why else Status.GREEN, why, figures)
        result.timeline = timeline.as_json()
        result.rules = {str(rule): count for rule, count in verdict.by_rule().items()}
        return result

    def _result(self, status: Status, why: list[str], figures: dict[str, Any]) -> Result:
        return Result(
            name=self.scenario.name,
            sentence=self.scenario.sentence(),
            seed=self.seed,
            time_scale=self.time_scale,
            status=status,
            why=why,
            figures=figures,
            folder=str(self.folder),
        )

    def _timeline(self) -> Timeline:
        topology = self.stage.topology
        return Timeline(
            moments_file=Witness(self.folder / "timeline.jsonl"),
            alone_file=Witness(self.folder / "alone.jsonl"),
            control=topology.control_site.name,
            lans=tuple(site.name for site in topology.worker_sites),
        )

    @property
    def _ledger(self) -> Ledger:
        site = self.stage.topology.control_site.name
        return Ledger(self.stage.paths.root / site / "ledger.sqlite3")
