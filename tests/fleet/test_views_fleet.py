"""The fleet's page says what processes reported, how old it is, and nothing else."""

import html
import re
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from fleet.models import RunEvent, SecurityEvent
from tests.fleet.api_calls import make_run, make_site
from tests.fleet.view_rows import ago, box_of, heard_site, lost_and_done, seen_broker, worker_at

#: Session, user, sites, journals, workers, broker, queues, runs, their places, supply,
#: published attempts, refusals counted, newest event, events, refusals.
PAGE_QUERIES = 18


def text_of(client: Client, path: str = "/") -> str:
    """What a reader sees of a page, with single spaces."""
    response = client.get(path)
    assert response.status_code == 200
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode())))


def test_an_empty_fleet_says_what_to_do_next(staff: Client) -> None:
    page = text_of(staff)
    assert "No site has been heard yet" in page
    assert "Nobody has reported the broker yet." in page
    assert "celery -A tasks worker" in page


def test_a_site_shows_its_verdict_metrics_and_the_role_of_its_redis(staff: Client) -> None:
    site = heard_site("dc1", 1, broker={"role": "master", "sentinel_others": 2})
    box_of(site, "mini", cpu_percent=41.2, memory_percent=62.0, load_1=0.31, pending=7)
    worker_at(site, "mini", "dev", busy=1)
    page = text_of(staff)
    assert "The site is heard" in page
    assert "CPU 41 %" in page
    assert "load 0.31" in page
    assert "journal: 7 waiting" in page
    assert "1 of 1 alive · 1 of 4 slots busy" in page
    assert re.search(r"its Redis master\b", page)
    assert "sees 2 others" in page


def test_what_nobody_reported_is_said_to_be_not_reported(staff: Client) -> None:
    box_of(heard_site("dc1", 1), "mini", cpu_percent=41.2)
    page = text_of(staff)
    assert "memory not reported" in page
    assert "temperature not reported" in page
    assert "its Redis not reported" in page


@pytest.mark.parametrize("nonsense", ["many", None, True, 10**400, [1]])
def test_a_metric_of_the_wrong_kind_counts_as_not_reported(staff: Client, nonsense: object) -> None:
    box_of(heard_site("dc1", 1), "mini", cpu_percent=nonsense)
    assert "CPU not reported" in text_of(staff)


def test_a_silent_site_is_named_first_and_its_age_is_shown(staff: Client) -> None:
    heard_site("dc1", 1, silent_s=400)
    heard_site("dc2", 2)
    make_site("dc3", 3)
    page = text_of(staff)
    assert "DC1 is silent" in page
    assert "1 of 3 sites are heard. Never heard of: DC3." in page
    assert "down or isolated silent for 6 min 40 s" in page


def test_a_broker_that_is_away_is_said_so_with_since_when_and_why(staff: Client) -> None:
    heard_site("dc1", 1)
    seen_broker(away_since=ago(65), away_reason="no Sentinel answers")
    assert "Broker away for 1 min 5 s because no Sentinel answers" in text_of(staff)


def test_a_broker_that_was_not_looked_at_lately_is_not_called_well(staff: Client) -> None:
    seen_broker(seen_at=ago(100))
    page = text_of(staff)
    assert "The control loop has not looked at the broker for 1 min 40 s" in page
    assert "Broker master is" not in page


def test_the_matrix_shows_latency_loss_silence_and_what_was_not_measured(staff: Client) -> None:
    now = timezone.now().isoformat()
    heard_site("dc1", 1, links={"dc2": {"median_ms": 24.2, "loss": 0.1, "at": now}})
    heard_site("dc2", 2, links={"dc1": {"median_ms": None, "loss": 1.0, "at": now}})
    page = text_of(staff)
    assert re.search(r"DC1 hears \d+ s ago · 24 ms, 10 % lost", page)
    assert re.search(r"DC2 hears \d+ s ago silent ·", page)
    heard_site("dc3", 3)
    assert "DC3 hears nothing reported not reported not reported ·" in text_of(staff)


def test_a_queue_without_a_live_worker_says_what_it_needs(staff: Client) -> None:
    worker_at(heard_site("dc2", 2), "nuc", "dev", "openwrt")
    worker_at(heard_site("dc1", 1, silent_s=100), "mini", "udm")
    seen_broker(queues={"udm": {"depth": 14}})
    make_run("udm.gateway_health", enqueued_at=ago(380))
    make_run("dev.git_log", queue_name="dev.dc3", site="dc3")
    page = text_of(staff)
    assert re.search(r"udm 14 1 6 min 2\d s 0 nobody: needs a live worker with udm", page)
    assert "nobody: needs a live worker with dev at DC3" in page
    assert re.search(r"openwrt 0 0 — 0 1 worker at DC2", page)
    assert "no live worker has the capability udm" in page


def test_runs_that_are_held_back_do_not_count_as_waiting(staff: Client) -> None:
    make_run(run_after=ago(-600))
    assert re.search(r"dev not reported 0 \+1 later —", text_of(staff))


def test_workers_that_ended_long_ago_are_left_out(staff: Client) -> None:
    site = heard_site("dc1", 1)
    worker_at(site, "now", "dev")
    worker_at(site, "gone", "dev", last_seen_at=ago(100_000), stopped_at=ago(100_000))
    worker_at(site, "ended", "dev", last_seen_at=ago(100), stopped_at=ago(90))
    page = text_of(staff)
    assert "celery@now.dc1" in page
    assert "celery@gone.dc1" not in page
    assert "its process ended 1 min 30 s ago" in page


def test_what_happened_tells_losses_and_refusals_but_no_routine(staff: Client) -> None:
    run = lost_and_done()
    RunEvent.objects.create(run=run, at=ago(1), event="succeed", to_status="SUCCESSFUL", who="x")
    SecurityEvent.objects.create(at=ago(5), site="dc2", kind="bad signature", detail="wrong key")
    SecurityEvent.objects.create(at=ago(90_000), site="dc2", kind="old one")
    page = text_of(staff)
    assert "1 refused in 24 h" in page
    assert "Refused at DC2: bad signature wrong key" in page
    assert "dev.run_command was lost with its worker dc1 was silent for 45 s" in page
    assert "dev.run_command succeed" not in page


def test_text_that_came_from_outside_is_escaped(staff: Client) -> None:
    box_of(heard_site("dc1", 1), "mini", trouble="<script>alert(1)</script>")
    assert b"<script>alert" not in staff.get("/").content


def test_the_number_of_queries_does_not_grow_with_the_fleet(
    staff: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(1, 7):
        site = heard_site(f"dc{number}", number)
        box_of(site, "a")
        box_of(site, "b")
        worker_at(site, "a", "dev")
        worker_at(site, "b", "dev", "udm")
        lost_and_done(first_token=number * 1000)
        make_run(open_attempt=True, token=uuid4().int % 10**9)
        SecurityEvent.objects.create(at=ago(5), kind="x")
    run = make_run("udm.gateway_health", status="FAILED", reason="no")
    RunEvent.objects.create(run=run, at=ago(1), event="fail", to_status="FAILED", who="x")
    with django_assert_num_queries(PAGE_QUERIES):
        staff.get("/")


def test_an_unchanged_fleet_is_not_sent_twice(staff: Client) -> None:
    heard_site("dc1", 1)
    first = staff.get("/fleet/fragment")
    again = staff.get("/fleet/fragment", headers={"if-none-match": first["ETag"]})
    assert first.status_code == 200
    assert b"<html" not in first.content
    assert again.status_code == 304
    assert again["Cache-Control"] == "private, no-cache"


def test_a_changed_fleet_is_sent(staff: Client) -> None:
    site = heard_site("dc1", 1)
    first = staff.get("/fleet/fragment")
    worker_at(site, "mini", "dev")
    again = staff.get("/fleet/fragment", headers={"if-none-match": first["ETag"]})
    assert again.status_code == 200
    assert again["ETag"] != first["ETag"]


def test_another_user_does_not_get_the_browser_copy_of_the_first(
    staff: Client, guest: Client
) -> None:
    etag = staff.get("/fleet/fragment")["ETag"]
    response = guest.get("/fleet/fragment", headers={"if-none-match": etag})
    assert response.status_code == 200
