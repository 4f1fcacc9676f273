"""What a site's home learns of its runs: from its own journal, and by mail from elsewhere."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from fleet.policy.dispatch import Supply
from fleet.policy.effects import EffectClass
from fleet.policy.envelope import Envelope
from tasks.app import app
from tasks.box import Box
from tasks.call import make_call
from tasks.home.journal_store import JournalStore
from tasks.home.settle import Settler
from tasks.journal.tables import ClaimRow, HomeRunRow
from tasks.producer import JournalAcceptor
from tasks.settings import load_settings
from tasks.wire import EntryKind, Mail, Outcome, OutcomeStatus
from tests.tasks.envelopes import NOW, envelope
from tests.tasks.paper import quick_folder

WORKER = "celery@mini-1"
SUCCESS = Outcome(status=OutcomeStatus.SUCCESSFUL, return_value=5)
ERROR = {"kind": "NetworkError", "message": "no answer", "transient": True}
FAILURE = Outcome(status=OutcomeStatus.FAILED, error=ERROR)
LOST = {"why": "process 7 ended"}


class Home:
    """DC1's home with one published run."""

    def __init__(self, box: Box, task: str = "canary.echo") -> None:
        self.box = box
        supply = [Supply(site="dc1", capabilities=frozenset({"dev"}), slots=2)]
        self.store = JournalStore(box.database, "dc1", 1, lambda: supply)
        self.settler = Settler(box.database, "dc1", "dc1")
        self.run = JournalAcceptor(app, box).accept(make_call(app, task, ["x"])).id
        self.token = self.publish()
        self._mails = 0

    def publish(self) -> int:
        (dispatch,) = self.store.open_attempts([(self.run, "dev")], NOW)
        self.store.mark_published([dispatch.token], NOW)
        return dispatch.token

    def row(self) -> Any:
        table = HomeRunRow.__table__  # type: ignore[attr-defined]
        with self.box.database.read() as connection:
            found = connection.execute(select(table).where(table.c.run_id == self.run))
            return found.mappings().one()

    def status(self) -> tuple[str, str]:
        row = self.row()
        return row["status"], row["attempt_status"]

    def envelope(self) -> Envelope:
        return envelope(id=self.run, token=self.token, attempt=1, home="dc1")

    def mail(self, kind: str, payload: Any = None, **fields: Any) -> None:
        """A piece of mail about the run, as the control plane passes it on from DC2."""
        self._mails += 1
        usual = {
            "run_id": self.run,
            "token": self.token,
            "worker_id": "celery@other",
            "site": "dc2",
            "payload": payload.model_dump(mode="json") if isinstance(payload, Outcome) else payload,
        }
        item = Mail(id=self._mails, kind=kind, payload=usual | fields)
        self.settler.take_mail([item], NOW)

    def mirrors(self) -> list[str]:
        entries = self.box.entries.after(0, 100)
        return [e.payload["event"]["event"] for e in entries if e.kind is EntryKind.MIRROR]


@pytest.fixture
def box() -> Iterator[Box]:
    with quick_folder() as folder:
        made = Box(load_settings(site="dc1", box="mini-1", state_dir=folder))
        yield made
        made.database.close()


@pytest.fixture
def home(box: Box) -> Home:
    return Home(box)


def test_the_boxes_own_worker_is_believed_by_its_journal(home: Home) -> None:
    home.box.claims.claim(home.envelope(), EffectClass.A, WORKER, NOW)
    home.settler.settle_own_claims(NOW)
    assert home.status() == ("RUNNING", "RUNNING")
    assert (home.row()["worker_id"], home.row()["worker_site"]) == (WORKER, "dc1")
    home.box.claims.finish(home.envelope(), SUCCESS, WORKER, NOW)
    home.settler.settle_own_claims(NOW)
    assert home.status() == ("SUCCESSFUL", "SUCCESSFUL")
    assert home.row()["return_value"] == 5
    assert home.mirrors() == ["enqueue", "claim", "succeed"]
    home.settler.settle_own_claims(NOW)
    assert home.mirrors() == ["enqueue", "claim", "succeed"]


def test_a_claim_and_its_end_that_are_seen_together_are_two_changes(home: Home) -> None:
    home.box.claims.claim(home.envelope(), EffectClass.A, WORKER, NOW)
    home.box.claims.finish(home.envelope(), FAILURE, WORKER, NOW)
    home.settler.settle_own_claims(NOW)
    assert home.status() == ("READY", "FAILED")
    assert home.mirrors() == ["enqueue", "claim", "retry later"]
    wait_s = (home.row()["run_after"] - NOW).total_seconds()
    assert 0.5 <= wait_s <= 1.0


@pytest.mark.parametrize(
    ("effect", "status"), [("a", "READY"), ("b", "READY"), ("c", "READY"), ("d", "DEAD")]
)
def test_a_worker_that_died_is_followed_by_effect_class(box: Box, effect: str, status: str) -> None:
    home = Home(box, f"canary.effect_{effect}")
    box.claims.claim(home.envelope(), EffectClass(effect.upper()), WORKER, NOW)
    with box.database.write() as connection:
        connection.execute(update(ClaimRow).values(process_started=0.0))
    box.claims.lose_orphans(NOW)
    home.settler.settle_own_claims(NOW)
    assert home.status() == (status, "LOST")


def test_mail_tells_what_another_site_did(home: Home) -> None:
    home.mail("claimed")
    assert home.status() == ("RUNNING", "RUNNING")
    assert (home.row()["worker_site"], home.row()["seen_at"]) == ("dc2", NOW)
    home.mail("finished", SUCCESS)
    assert home.status() == ("SUCCESSFUL", "SUCCESSFUL")
    assert home.box.database.meta("mail_ack") == "2"


@pytest.mark.parametrize("kind", ["claimed", "finished", "lost"])
def test_mail_about_an_older_token_is_dropped(home: Home, kind: str) -> None:
    home.mail(kind, LOST if kind == "lost" else FAILURE, token=home.token - 256)
    assert home.status() == ("READY", "PUBLISHED")


def test_mail_about_an_unknown_run_is_dropped_and_acknowledged(home: Home) -> None:
    home.mail("claimed", run_id="unknown")
    assert home.box.database.meta("mail_ack") == "1"


def test_a_late_claim_of_an_attempt_that_has_ended_does_not_revive_it(home: Home) -> None:
    home.mail("claimed")
    home.mail("finished", FAILURE)
    assert home.status() == ("READY", "FAILED")
    home.mail("claimed")
    assert home.status() == ("READY", "FAILED")


@pytest.mark.parametrize("kind", ["claimed", "finished", "lost"])
def test_a_finished_run_never_changes_by_mail(home: Home, kind: str) -> None:
    home.mail("claimed")
    home.mail("finished", SUCCESS)
    home.mail(kind, LOST if kind == "lost" else FAILURE)
    assert home.status() == ("SUCCESSFUL", "SUCCESSFUL")
    assert home.mirrors() == ["enqueue", "claim", "succeed"]


def test_an_operators_wishes_are_carried_out_with_their_names(home: Home) -> None:
    home.mail("cancel", who="ada", why="enough")
    assert home.status() == ("CANCELLED", "VOID")
    assert home.row()["reason"] == "enough"
    home.mail("cancel", who="ada", why="again")
    assert home.status() == ("CANCELLED", "VOID")
    home.mail("retry", who="bob", why="once more")
    row = home.row()
    assert (row["status"], row["open_attempt"], row["max_attempts"]) == ("READY", False, 2)
    assert home.mirrors() == ["enqueue", "cancel", "retry"]
    newer = home.publish()
    assert newer > home.token


def test_the_lease_of_a_run_is_renewed_by_its_own_homes_claims_only(home: Home) -> None:
    home.mail("claimed")
    soon = NOW + timedelta(seconds=30)
    home.store.see_running([{"home": "control", "token": home.token}], soon)
    assert home.row()["seen_at"] == NOW
    home.store.see_running([{"home": "dc1", "token": home.token}], soon)
    assert home.row()["seen_at"] == soon


def test_tokens_of_one_site_increase_over_all_its_runs(home: Home, box: Box) -> None:
    other = Home(box)
    third = Home(box)
    assert home.token < other.token < third.token
    assert {token & 255 for token in (home.token, other.token, third.token)} == {1}
