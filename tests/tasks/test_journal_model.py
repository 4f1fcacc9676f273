"""Any order of claims, ends and deaths, against a model of the journal in a few lines."""

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import update

from fleet.policy.effects import EffectClass
from tasks.journal import Claims, ClaimVerdict, Entries, JournalDatabase
from tasks.journal.tables import ClaimRow
from tasks.wire import EntryKind, Outcome, OutcomeStatus
from tests.tasks.envelopes import NOW, envelope
from tests.tasks.home_world import emptied

WORKER = "celery@mini-1"
runs = st.sampled_from(["run 1", "run 2"])
tokens = st.integers(1, 4)
endings = st.sampled_from(OutcomeStatus)

_folder = tempfile.TemporaryDirectory(prefix="turtle-model-")
_database = JournalDatabase(Path(_folder.name))


@dataclass
class Held:
    """What the journal should know of a run."""

    token: int
    status: str
    alive: bool = True


class Journal(RuleBasedStateMachine):
    """One box; its worker processes may end at any time."""

    def __init__(self) -> None:
        super().__init__()
        emptied(_database)
        self.claims = Claims(_database)
        self.entries = Entries(_database)
        self.held: dict[str, Held] = {}
        self.started: Counter[tuple[str, int]] = Counter()
        self.newest: dict[str, int] = {}
        self.succeeded: set[str] = set()
        self.written = 0

    @rule(run=runs, token=tokens, effect=st.sampled_from(EffectClass))
    def claim(self, run: str, token: int, effect: EffectClass) -> None:
        verdict = self.claims.claim(envelope(id=run, token=token), effect, WORKER, NOW).verdict
        assert verdict is self._expected(run, token, effect)
        if verdict is ClaimVerdict.CLAIMED:
            self.started[run, token] += 1
            assert self.started[run, token] == 1
            assert token > self.newest.get(run, 0)
            assert run not in self.succeeded
            self.held[run] = Held(token, "RUNNING")
            self.written += 1
        elif verdict in (ClaimVerdict.DONE, ClaimVerdict.REPEATED):
            self.held[run].token = token
            self.written += 2
        self.newest[run] = max(self.held[run].token, self.newest.get(run, 0))

    def _expected(self, run: str, token: int, effect: EffectClass) -> ClaimVerdict:
        held = self.held.get(run)
        if held is None:
            return ClaimVerdict.CLAIMED
        if token < held.token:
            return ClaimVerdict.STALE
        if held.status in ("SUCCESSFUL", "FAILED") and token == held.token:
            return ClaimVerdict.REPEATED
        if held.status == "SUCCESSFUL":
            return ClaimVerdict.DONE
        at_it = held.status == "RUNNING" and held.alive
        if token > held.token and not (at_it and effect is EffectClass.D):
            return ClaimVerdict.CLAIMED
        if at_it:
            return ClaimVerdict.RUNNING
        if held.status == "RUNNING":
            held.status = "LOST"
            self.written += 1
        return ClaimVerdict.STALE

    @rule(run=runs, token=tokens, ending=endings)
    def finish(self, run: str, token: int, ending: OutcomeStatus) -> None:
        outcome = Outcome(status=ending, return_value=token)
        closed = self.claims.finish(envelope(id=run, token=token), outcome, WORKER, NOW)
        held = self.held.get(run)
        assert closed is (held is not None and (held.token, held.status) == (token, "RUNNING"))
        self.written += 1
        if closed and held is not None:
            held.status = ending.value
            self.succeeded |= {run} if ending is OutcomeStatus.SUCCESSFUL else set()

    @rule(run=runs)
    def process_ends(self, run: str) -> None:
        with _database.write() as connection:
            connection.execute(
                update(ClaimRow).where(ClaimRow.run_id == run).values(process_started=0.0)  # type: ignore[arg-type]
            )
        if run in self.held:
            self.held[run].alive = False

    @rule()
    def agent_looks_for_orphans(self) -> None:
        orphans = [r for r, h in self.held.items() if h.status == "RUNNING" and not h.alive]
        assert sorted(self.claims.lose_orphans(NOW)) == sorted(orphans)
        for run in orphans:
            self.held[run].status = "LOST"
        self.written += len(orphans)

    @rule(up_to=st.integers(0, 30))
    def control_plane_acknowledges(self, up_to: int) -> None:
        self.entries.acknowledge(min(up_to, self.written))

    @invariant()
    def lines_have_no_gap(self) -> None:
        acked = self.entries.acked()
        waiting = self.entries.after(acked, 1000)
        assert [entry.seq for entry in waiting] == list(range(acked + 1, self.written + 1))
        assert self.entries.pending() == self.written - acked

    @invariant()
    def the_journal_holds_what_the_model_holds(self) -> None:
        running = {row["run_id"]: row["token"] for row in self.claims.running()}
        assert running == {r: h.token for r, h in self.held.items() if h.status == "RUNNING"}

    @invariant()
    def a_finished_line_carries_an_outcome(self) -> None:
        for entry in self.entries.after(0, 1000):
            if entry.kind is EntryKind.FINISHED:
                assert Outcome(**entry.payload).status in OutcomeStatus


TestJournal: Any = Journal.TestCase
TestJournal.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
