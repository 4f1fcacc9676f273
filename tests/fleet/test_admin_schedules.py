"""Schedules in the admin: tasks of the fleet only, and only calls that would be accepted."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from fleet.admin.schedules import FleetTaskSelect
from fleet.models import TaskRun
from tasks import app
from tasks.call import task_contracts

ADD = "/admin/django_celery_beat/periodictask/add/"
LIST = "/admin/django_celery_beat/periodictask/"


@pytest.fixture
def boss(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create(username="boss", is_staff=True, is_superuser=True))
    return client


def add(client: Client, **fields: Any) -> Any:
    every = IntervalSchedule.objects.get_or_create(every=1, period="hours")[0]
    body = {
        "name": "hourly",
        "regtask": "canary.echo",
        "enabled": "on",
        "interval": every.pk,
        "args": "[]",
        "kwargs": '{"value": 1}',
        "headers": "{}",
    }
    return client.post(ADD, {**body, **fields})


def test_only_tasks_of_the_fleet_are_offered() -> None:
    offered = {name for name, _ in FleetTaskSelect().choices} - {""}

    assert offered == set(task_contracts(app))


def test_a_schedule_that_fits_is_saved(boss: Client) -> None:
    assert add(boss).status_code == 302
    row = PeriodicTask.objects.get(name="hourly")
    assert (row.task, row.kwargs) == ("canary.echo", '{"value": 1}')


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kwargs": '{"valu": 1}'}, "kwargs"),
        ({"kwargs": "{}", "args": "[1, 2]"}, "args"),
        ({"kwargs": "[1]"}, "kwargs"),
        ({"args": "{"}, "args"),
        ({"queue": "udmm"}, "queue"),
        ({"queue": "dev.dc9"}, "queue"),
        ({"queue": "udm"}, "queue"),
        ({"priority": "200"}, "priority"),
        ({"regtask": "celery.backend_cleanup"}, "regtask"),
        ({"regtask": ""}, "regtask"),
    ],
)
def test_a_call_that_would_be_refused_is_refused_when_it_is_saved(
    boss: Client, fields: dict[str, str], field: str
) -> None:
    page = add(boss, **fields)

    assert page.status_code == 200
    assert field in page.context["adminform"].form.errors
    assert not PeriodicTask.objects.filter(name="hourly").exists()


def test_run_now_accepts_what_fits_and_names_what_does_not(boss: Client) -> None:
    add(boss)
    every = IntervalSchedule.objects.get()
    PeriodicTask.objects.create(name="old", task="gone.task", interval=every)
    rows = PeriodicTask.objects.filter(name__in=("hourly", "old"))
    body = {"action": "run_tasks", "_selected_action": [row.pk for row in rows]}
    response = boss.post(LIST, body)

    run = TaskRun.objects.get()
    assert (run.task, run.kwargs) == ("canary.echo", {"value": 1})
    texts = [str(message) for message in get_messages(response.wsgi_request)]
    assert any(text.startswith("old: unknown task 'gone.task'") for text in texts)
    assert "1 run accepted." in texts


def test_an_existing_schedule_opens_and_can_be_saved_again(boss: Client) -> None:
    add(boss)
    row = PeriodicTask.objects.get(name="hourly")
    address = f"{LIST}{row.pk}/change/"

    page = boss.get(address)
    assert page.status_code == 200
    assert 'value="canary.echo" selected' in page.content.decode()
