"""Rows that the tests of the pages look at: sites, boxes, workers, runs with their attempts."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from fleet.models import Attempt, BrokerView, Journal, RunEvent, Site, TaskRun, Worker
from tests.fleet.api_calls import make_run


def ago(seconds: float) -> datetime:
    """The moment `seconds` before now."""
    return timezone.now() - timedelta(seconds=seconds)


def heard_site(name: str, number: int, *, silent_s: float = 1.0, **observed: Any) -> Site:
    """A site that was last heard of `silent_s` ago."""
    return Site.objects.create(
        name=name,
        number=number,
        title=f"Site {number}",
        last_seen_at=ago(silent_s),
        observations=observed,
    )


def box_of(site: Site, box: str, *, pending: int = 0, trouble: str = "", **metrics: Any) -> Journal:
    """A box's journal with the host metrics that its agent sent."""
    return Journal.objects.create(
        id=uuid.uuid4(),
        site=site,
        box=box,
        metrics=metrics,
        metrics_at=site.last_seen_at,
        last_report_at=site.last_seen_at,
        pending=pending,
        trouble=trouble,
    )


def worker_at(site: Site, box: str, *capabilities: str, **fields: Any) -> Worker:
    """A worker with four slots that was heard of with its site."""
    values: dict[str, Any] = {
        "slots": 4,
        "started_at": ago(3600),
        "version": "0.1.0",
        "last_seen_at": site.last_seen_at,
        "queues": [*capabilities, *(f"{name}.{site.name}" for name in capabilities)],
    }
    return Worker.objects.create(
        id=f"celery@{box}.{site.name}",
        site=site,
        box=box,
        capabilities=list(capabilities),
        **{**values, **fields},
    )


def seen_broker(**fields: Any) -> BrokerView:
    """What the control loop saw of the broker a second ago."""
    values: dict[str, Any] = {"seen_at": ago(1), "master": "127.0.1.2:6379"}
    return BrokerView.objects.create(**{**values, **fields})


def lost_and_done(first_token: int = 256) -> TaskRun:
    """A run whose first attempt was lost at DC1 and whose second brought the result at DC2."""
    run = make_run(
        "dev.run_command",
        status="SUCCESSFUL",
        attempts=2,
        token=first_token + 1,
        enqueued_at=ago(63),
        started_at=ago(11),
        finished_at=ago(0),
        worker_id="celery@nuc.dc2",
        max_attempts=3,
        kwargs={"argv": ["make"], "api_token": "very-private"},
        return_value={"exit": 0},
    )
    Attempt.objects.create(
        run=run,
        number=1,
        token=first_token,
        status="LOST",
        queue_name="dev",
        created_at=ago(63),
        published_at=ago(63),
        started_at=ago(62),
        ended_at=ago(12),
        site="dc1",
        worker_id="celery@mini.dc1",
    )
    Attempt.objects.create(
        run=run,
        number=2,
        token=first_token + 1,
        status="SUCCESSFUL",
        queue_name="dev",
        created_at=ago(12),
        published_at=ago(12),
        started_at=ago(11),
        ended_at=ago(0),
        site="dc2",
        worker_id="celery@nuc.dc2",
    )
    RunEvent.objects.create(
        run=run,
        at=ago(12),
        event="lose",
        from_status="RUNNING",
        to_status="READY",
        why="dc1 was silent for 45 s",
        who="control loop",
    )
    return run
