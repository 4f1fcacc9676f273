"""Beat in the ledger: runs name their schedule, and Celery's own schedule is gone."""

import pytest
from celery.beat import ScheduleEntry
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask, PeriodicTasks

from fleet.control.schedules import CLEANUP, FleetScheduler
from fleet.ledger.acceptor import MAX_CALLER_CHARS, called_by
from fleet.models import RunEvent, TaskRun
from tasks import app

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def schedule() -> PeriodicTask:
    every = IntervalSchedule.objects.create(every=10, period="seconds")
    return PeriodicTask.objects.create(
        name="every ten", task="canary.echo", interval=every, args="[1]"
    )


def entry_of(scheduler: FleetScheduler, name: str) -> ScheduleEntry:
    return scheduler.schedule[name]


def test_a_due_schedule_makes_a_run_that_names_it(schedule: PeriodicTask) -> None:
    scheduler = FleetScheduler(app=app)
    scheduler.apply_entry(entry_of(scheduler, "every ten"))
    run = TaskRun.objects.get()

    assert (run.task, run.enqueued_by) == ("canary.echo", "schedule every ten")
    assert RunEvent.objects.get(run=run).who == "schedule every ten"


def test_calls_beside_a_schedule_keep_their_own_name(schedule: PeriodicTask) -> None:
    scheduler = FleetScheduler(app=app)
    scheduler.apply_entry(entry_of(scheduler, "every ten"))
    app.tasks["canary.echo"].delay(2)

    assert set(TaskRun.objects.values_list("enqueued_by", flat=True)) == {
        "schedule every ten",
        "program",
    }


def test_celerys_own_schedule_is_never_made() -> None:
    FleetScheduler(app=app)

    assert not PeriodicTask.objects.exists()
    assert app.conf.result_expires is None


def test_what_an_earlier_version_made_is_removed(schedule: PeriodicTask) -> None:
    at_four = CrontabSchedule.objects.create(minute="0", hour="4")
    PeriodicTask.objects.create(name=CLEANUP, task=CLEANUP, crontab=at_four)
    scheduler = FleetScheduler(app=app)

    assert set(PeriodicTask.objects.values_list("name", flat=True)) == {"every ten"}
    assert CLEANUP not in scheduler.schedule


def test_a_callers_name_fits_the_ledger() -> None:
    with called_by("schedule " + "x" * 200):
        app.tasks["canary.echo"].delay(1)

    assert len(TaskRun.objects.get().enqueued_by) == MAX_CALLER_CHARS


def test_the_first_schedule_of_a_new_fleet_is_noticed() -> None:
    PeriodicTasks.objects.all().delete()
    scheduler = FleetScheduler(app=app, max_interval=5)
    assert scheduler.schedule == {}
    every, _ = IntervalSchedule.objects.get_or_create(every=1, period="seconds")
    PeriodicTask.objects.create(name="first", task="canary.echo", interval=every, args="[1]")
    assert "first" in scheduler.schedule
