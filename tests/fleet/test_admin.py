"""The admin: every page opens, runs are operated on, tokens are shown once."""

import re
import uuid
from datetime import timedelta
from html import unescape

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from fleet.api.credentials import digest_of
from fleet.ledger.waiting import waiting_reason
from fleet.models import (
    ActivationLease,
    ApiToken,
    Attempt,
    BrokerView,
    FleetEvent,
    FleetState,
    HomeMail,
    Journal,
    Maintenance,
    Override,
    RunEvent,
    SecurityEvent,
    StandbyMonth,
    TaskRun,
    TokenCounter,
    Worker,
)
from fleet.policy.states import RunStatus
from tests.fleet.api_calls import make_run, make_site

pytestmark = pytest.mark.django_db
MODELS = [
    m
    for app in ("fleet", "auth", "django_celery_beat")
    for m in apps.get_app_config(app).get_models()
]
MODELS = [m for m in MODELS if m.__name__ not in ("Permission", "PeriodicTasks")]


@pytest.fixture
def boss() -> Client:
    client = Client()
    client.force_login(User.objects.create(username="boss", is_staff=True, is_superuser=True))
    return client


def said(response: HttpResponse) -> list[str]:
    """The messages that a page carries."""
    return [str(message) for message in get_messages(response.wsgi_request)]  # type: ignore[attr-defined]


def fill_all_tables() -> None:
    now = timezone.now()
    site = make_site("dc1", 1)
    run = make_run(args=["<script>"], error={"kind": "TheirError", "message": "no"})
    Attempt.objects.create(run=run, number=1, token=1, queue_name="dev", created_at=now)
    RunEvent.objects.create(run=run, at=now, event="enqueue", to_status="READY", who="x")
    Worker.objects.create(id="w@a", site=site, box="a", last_seen_at=now)
    Journal.objects.create(id=uuid.uuid4(), site=site, box="a", last_report_at=now)
    HomeMail.objects.create(site=site, kind="cancel", payload={}, created_at=now)
    BrokerView.objects.create(seen_at=now, master="dc1")
    TokenCounter.objects.create(value=3)
    SecurityEvent.objects.create(at=now, kind="altered")
    FleetState.objects.create(mode="normal", since=now)
    ActivationLease.objects.create(machine="stopped", granted_at=now)
    StandbyMonth.objects.create(month="2030-01")
    Maintenance.objects.create(site=site, reason="x", by="y", began_at=now, until=now)
    Override.objects.create(epoch=2, asserted=["dc1"], by="y", began_at=now, expires_at=now)
    FleetEvent.objects.create(at=now, kind="mode", subject="fleet", became="minimal", who="z")
    ApiToken.objects.create(name="t", digest="0" * 64, scope="read")


def test_every_model_is_registered_with_search_filters_and_columns() -> None:
    for model in MODELS:
        page = admin.site._registry[model]
        assert page.search_fields or model.__name__ == "ClockedSchedule", model
        if model.__name__ not in ("TokenCounter", "Group"):
            assert page.list_filter, model
            assert len(page.list_display) > 1 or model.__name__ == "ClockedSchedule", model


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_list_search_and_detail_of_every_model_open(boss: Client, model: type) -> None:
    fill_all_tables()
    name = f"{model._meta.app_label}/{model._meta.model_name}"  # type: ignore[attr-defined]

    assert boss.get(f"/admin/{name}/").status_code == 200
    assert boss.get(f"/admin/{name}/?q=dc1").status_code == 200
    for row in model.objects.all()[:1]:  # type: ignore[attr-defined]
        page = boss.get(f"/admin/{name}/{row.pk}/change/")
        assert page.status_code == 200
        assert b"<script>&quot;" not in page.content


def test_runs_cannot_be_added_changed_or_deleted_by_hand(boss: Client) -> None:
    run = make_run()

    assert boss.get("/admin/fleet/taskrun/add/").status_code == 403
    assert (
        boss.post(f"/admin/fleet/taskrun/{run.pk}/change/", {"status": "DEAD"}).status_code == 403
    )
    assert boss.post(f"/admin/fleet/taskrun/{run.pk}/delete/", {"post": "yes"}).status_code == 403
    run.refresh_from_db()
    assert run.status == RunStatus.READY


def test_a_runs_page_shows_why_it_waits_its_attempts_and_events(boss: Client) -> None:
    run = make_run(run_after=timezone.now() + timedelta(hours=1))
    now = timezone.now()
    Attempt.objects.create(
        run=run, number=1, token=4711, queue_name="dev", created_at=now, worker_id="w@box"
    )
    RunEvent.objects.create(
        run=run, at=now, event="enqueue", to_status="READY", why="accepted", who="olga"
    )
    page = boss.get(f"/admin/fleet/taskrun/{run.pk}/change/").content.decode()

    reason = waiting_reason(run, now)
    assert reason
    for text in (reason, "4711", "w@box", "accepted", "olga", "READY"):
        assert text in unescape(page)


def test_the_search_of_runs_looks_into_arguments(boss: Client) -> None:
    run = make_run(args=["needle"])
    other = make_run(args=["hay"])
    page = boss.get("/admin/fleet/taskrun/?q=needle").content.decode()

    assert str(run.pk) in page
    assert str(other.pk) not in page


def select(client: Client, action: str, runs: list[TaskRun]) -> HttpResponse:
    body = {"action": action, "_selected_action": [str(run.pk) for run in runs]}
    return client.post("/admin/fleet/taskrun/", body)  # type: ignore[return-value]


def test_cancel_on_a_selection_does_what_it_can_and_names_the_rest(boss: Client) -> None:
    ready, finished = make_run(), make_run(status=RunStatus.SUCCESSFUL)
    response = select(boss, "cancel_selected", [ready, finished])
    ready.refresh_from_db()
    finished.refresh_from_db()

    assert (ready.status, finished.status) == (RunStatus.CANCELLED, RunStatus.SUCCESSFUL)
    assert RunEvent.objects.get(run=ready).who == "boss"
    done, refused = said(response)
    assert done == "1 run cancelled."
    assert str(finished.pk) in refused
    assert "SUCCESSFUL cannot cancel" in refused


def test_retry_on_a_selection_makes_failed_runs_ready(boss: Client) -> None:
    runs = [make_run(status=RunStatus.FAILED), make_run(status=RunStatus.DEAD)]
    select(boss, "retry_selected", runs)

    assert set(TaskRun.objects.values_list("status", flat=True)) == {"READY"}


def test_many_refusals_are_counted(boss: Client) -> None:
    runs = [make_run(status=RunStatus.SUCCESSFUL) for _ in range(12)]
    texts = said(select(boss, "retry_selected", runs))

    assert len(texts) == 11
    assert texts[-1] == "2 more were refused."


def test_one_run_is_cancelled_with_a_reason_and_only_by_post(boss: Client) -> None:
    run = make_run()
    address = f"/admin/fleet/taskrun/{run.pk}/cancel/"
    asked = boss.get(address)
    run.refresh_from_db()

    assert b'name="why"' in asked.content
    assert run.status == RunStatus.READY

    done = boss.post(
        address,
        {"why": "wrong box", "_form_submitted": "on"},
        headers={"HX-Request": "true"},
    )
    run.refresh_from_db()
    assert done["HX-Redirect"] == f"/admin/fleet/taskrun/{run.pk}/change/"
    assert run.status == RunStatus.CANCELLED
    assert RunEvent.objects.get(run=run).why == "wrong box"


@pytest.mark.parametrize("run_id", ["nonsense", str(uuid.uuid4())])
def test_operating_on_a_run_that_is_not_there_is_404(boss: Client, run_id: str) -> None:
    response = boss.post(f"/admin/fleet/taskrun/{run_id}/retry/", {"_form_submitted": "on"})

    assert response.status_code == 404


def test_who_may_only_look_can_neither_operate_nor_enqueue() -> None:
    user = User.objects.create(username="viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_taskrun"))
    client = Client()
    client.force_login(user)
    run = make_run()

    assert client.get("/admin/fleet/taskrun/").status_code == 200
    select(client, "cancel_selected", [run])
    cancel = f"/admin/fleet/taskrun/{run.pk}/cancel/"
    assert client.post(cancel, {"_form_submitted": "on"}).status_code == 403
    assert client.get("/admin/fleet/taskrun/enqueue/").status_code == 403
    run.refresh_from_db()
    assert run.status == RunStatus.READY


def test_a_token_is_shown_once_and_only_its_digest_is_kept(boss: Client) -> None:
    page = boss.post("/admin/fleet/apitoken/add/", {"name": "ci", "scope": "enqueue"})
    shown = re.search(r"tf_[\w-]{43}", unescape(page.content.decode()))

    assert shown is not None
    assert "no-store" in page["Cache-Control"]
    row = ApiToken.objects.get(name="ci")
    assert row.digest == digest_of(shown.group())
    again = boss.get(f"/admin/fleet/apitoken/{row.pk}/change/").content.decode()
    assert shown.group() not in again
    assert row.digest not in again


@pytest.mark.parametrize(
    ("fields", "said_so"),
    [
        ({"scope": "agent"}, "needs the site"),
        ({"scope": "read", "site": "dc1"}, "leave it empty"),
    ],
)
def test_only_an_agents_token_has_a_site(
    boss: Client, fields: dict[str, str], said_so: str
) -> None:
    make_site("dc1", 1)
    page = boss.post("/admin/fleet/apitoken/add/", {"name": "t", **fields})

    assert said_so in page.content.decode()
    assert not ApiToken.objects.exists()


def test_a_token_can_be_renamed_but_its_scope_and_digest_stay(boss: Client) -> None:
    token = ApiToken.objects.create(name="t", digest="0" * 64, scope="read")
    boss.post(f"/admin/fleet/apitoken/{token.pk}/change/", {"name": "new", "scope": "enqueue"})
    token.refresh_from_db()

    assert (token.name, token.scope, token.digest) == ("new", "read", "0" * 64)


def test_revoking_takes_effect_once(boss: Client) -> None:
    token = ApiToken.objects.create(name="t", digest="0" * 64, scope="read")
    body = {"action": "revoke", "_selected_action": [token.pk]}
    boss.post("/admin/fleet/apitoken/", body)
    token.refresh_from_db()
    first = token.revoked_at
    boss.post("/admin/fleet/apitoken/", body)
    token.refresh_from_db()

    assert first is not None
    assert token.revoked_at == first
