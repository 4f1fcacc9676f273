"""Pages of the admin, one by one: all open, schedules can be made, lists read like a text."""

import re
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.test import Client
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from fleet.models import ApiToken, Attempt, Override, RunEvent, SecurityEvent, TaskRun
from fleet.policy.states import RunStatus
from tests.fleet.api_calls import make_run, make_site
from tests.fleet.test_admin import fill_all_tables
from tests.fleet.view_rows import lost_and_done, worker_at

pytestmark = pytest.mark.django_db
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
BEAT = "/admin/django_celery_beat/"
NOON = datetime(2030, 1, 31, 12, 5, 9, tzinfo=UTC)


@pytest.fixture
def boss() -> Client:
    client = Client()
    client.force_login(User.objects.create(username="boss", is_staff=True, is_superuser=True))
    return client


def page_of(client: Client, address: str) -> str:
    """The page as text, without entities."""
    response = client.get(address)
    assert response.status_code == 200, address
    return unescape(response.content.decode())


def list_of(client: Client, model: type[Model]) -> str:
    return page_of(client, f"/admin/{model._meta.app_label}/{model._meta.model_name}/")


def change_page(client: Client, row: Model) -> str:
    opts = row._meta
    return page_of(client, f"/admin/{opts.app_label}/{opts.model_name}/{row.pk}/change/")


def fill_beat() -> None:
    every = IntervalSchedule.objects.create(every=10, period="seconds")
    PeriodicTask.objects.create(name="every ten", task="canary.echo", interval=every)
    CrontabSchedule.objects.create(minute="0")
    ClockedSchedule.objects.create(clocked_time=NOON)
    SolarSchedule.objects.create(event="sunset", latitude=1, longitude=1)
    Group.objects.create(name="operators")


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m._meta.label)
def test_the_add_and_the_change_page_of_every_model_open(boss: Client, model: type[Model]) -> None:
    fill_all_tables()
    fill_beat()
    name = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    mine = admin.site._registry[model].has_add_permission(boss.get("/admin/").wsgi_request)

    assert boss.get(f"{name}add/").status_code == (200 if mine else 403)
    rows = list(model._default_manager.all())
    assert rows
    for row in rows:
        assert boss.get(f"{name}{row.pk}/change/").status_code == 200


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (IntervalSchedule, {"every": "10", "period": "minutes"}),
        (
            CrontabSchedule,
            {
                "minute": "5",
                "hour": "4",
                "day_of_month": "*",
                "month_of_year": "*",
                "day_of_week": "*",
                "timezone": "UTC",
            },
        ),
        (ClockedSchedule, {"clocked_time_0": "2030-01-31", "clocked_time_1": "12:00:00"}),
        (SolarSchedule, {"event": "sunset", "latitude": "48.1", "longitude": "11.6"}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_every_kind_of_schedule_can_be_made_used_and_changed(
    boss: Client, model: Any, fields: dict[str, str]
) -> None:
    inline = {"periodictask_set-TOTAL_FORMS": "0", "periodictask_set-INITIAL_FORMS": "0"}
    made = boss.post(f"{BEAT}{model._meta.model_name}/add/", {**fields, **inline})
    assert made.status_code == 302, made.context["errors"]
    row = model.objects.get()
    task = {
        "name": "by it",
        "regtask": "canary.echo",
        "args": "[1]",
        "kwargs": "{}",
        "headers": "{}",
        "enabled": "on",
        model.__name__.removesuffix("Schedule").lower(): row.pk,
        **({"one_off": "on"} if model is ClockedSchedule else {}),
    }
    assert boss.post(f"{BEAT}periodictask/add/", task).status_code == 302

    assert "by it" in change_page(boss, row)
    again = boss.post(f"{BEAT}{model._meta.model_name}/{row.pk}/change/", {**fields, **inline})
    assert again.status_code == 302


@pytest.mark.parametrize(
    ("status", "cancel", "retry"),
    [
        (RunStatus.READY, True, False),
        (RunStatus.RUNNING, True, False),
        (RunStatus.SUCCESSFUL, False, False),
        (RunStatus.FAILED, False, True),
        (RunStatus.CANCELLED, False, True),
        (RunStatus.DEAD, False, True),
    ],
)
def test_a_run_offers_only_what_is_possible(
    boss: Client, status: RunStatus, cancel: bool, retry: bool
) -> None:
    run = make_run(status=status)
    page = change_page(boss, run)

    assert (f"/{run.pk}/cancel/" in page, f"/{run.pk}/retry/" in page) == (cancel, retry)


def test_no_page_has_more_than_two_fields_in_a_row() -> None:
    for model_admin in admin.site._registry.values():
        sets: Any = model_admin.fieldsets or ((None, {"fields": model_admin.fields or ()}),)
        rows = [row for _, options in sets for row in options["fields"]]
        assert all(isinstance(row, str) or len(row) <= 2 for row in rows), model_admin


def test_moments_are_in_utc_with_seconds_and_24_hours(boss: Client) -> None:
    run = make_run(enqueued_at=NOON)
    RunEvent.objects.create(run=run, at=NOON, event="enqueue", to_status="READY", who="x")

    assert "2030-01-31 12:05:09 UTC" in change_page(boss, run)
    for page in (list_of(boss, TaskRun), list_of(boss, RunEvent)):
        assert ">2030-01-31 12:05:09</time>" in page
        assert "(UTC)" in page
    assert "noon" not in change_page(boss, run)


@pytest.mark.parametrize("model", [TaskRun, Attempt, RunEvent, SecurityEvent])
def test_a_runs_id_is_short_in_lists_and_whole_in_its_title(
    boss: Client, model: type[Model]
) -> None:
    run = lost_and_done()
    SecurityEvent.objects.create(at=NOON, kind="altered", run_id=str(run.pk))
    page = list_of(boss, model)

    assert f'title="{run.pk}">{str(run.pk)[:4]}…{str(run.pk)[-4:]}<' in page
    assert f">{run.pk}<" not in page


def test_the_list_of_runs_says_who_asked_where_and_how_long_it_took(boss: Client) -> None:
    make_run(enqueued_by="schedule every ten", site="dc2", reason="its worker is gone")
    lost_and_done()
    page = list_of(boss, TaskRun)

    assert "by schedule every ten, only at dc2" in page
    assert 'title="its worker is gone"' in page
    assert re.search(r"\b11 s\b", page)


def test_lists_of_names_read_like_a_text(boss: Client) -> None:
    site = make_site("dc1", 1)
    site.capabilities = ["udm", "dev"]
    site.save()
    worker = worker_at(site, "mini", "udm", "dev")
    Override.objects.create(
        epoch=2, asserted=["dc1", "dc2"], by="y", expires_at=NOON, began_at=NOON
    )
    pages = [list_of(boss, type(site)), list_of(boss, type(worker))]

    for page in (*pages, change_page(boss, site), change_page(boss, worker)):
        assert "udm, dev" in page
    assert "dc1, dc2" in list_of(boss, Override)
    assert not [page for page in pages if '["' in re.sub(r"<script.*?</script>", "", page)]


def test_no_is_a_word_and_no_red_cross(boss: Client) -> None:
    fill_beat()
    lost_and_done()
    for model in (Attempt, PeriodicTask, User):
        assert "close_small" not in list_of(boss, model), model
    assert ">yes<" in list_of(boss, PeriodicTask)
    assert ">no<" in list_of(boss, PeriodicTask)


def test_an_attempt_that_came_too_late_says_so(boss: Client) -> None:
    run = lost_and_done()
    Attempt.objects.filter(status="LOST").update(stale=True)

    assert "reported too late" in list_of(boss, Attempt)
    assert "reported too late" in change_page(boss, run)


def test_a_run_of_class_d_promises_no_second_attempt(boss: Client) -> None:
    run = make_run("dev.run_command", effect="D", max_attempts=3, attempts=1)
    page = change_page(boss, run)

    assert "1 made; one attempt, then a person decides" in page
    assert "of at most 3" not in page
    assert "1 of 3" not in list_of(boss, TaskRun)


def test_values_of_secrets_are_hidden_on_a_runs_page(boss: Client) -> None:
    assert "very-private" not in change_page(boss, lost_and_done())


def test_one_token_is_revoked_in_the_singular(boss: Client) -> None:
    token = ApiToken.objects.create(name="t", digest="0" * 64, scope="read")
    body = {"action": "revoke", "_selected_action": [token.pk]}
    page = boss.post("/admin/fleet/apitoken/", body, follow=True)

    assert "Revoked 1 token." in page.content.decode()
