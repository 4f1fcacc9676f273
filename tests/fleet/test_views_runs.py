"""The list of runs, the page of one run, and its buttons."""

import html
import re

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from fleet.models import Attempt, HomeMail, RunEvent, TaskRun
from tests.fleet.api_calls import make_run, make_site
from tests.fleet.test_views_fleet import text_of
from tests.fleet.view_rows import ago, heard_site, lost_and_done, worker_at

#: Session and user, the page's runs, broker, places of the attempts.
LIST_QUERIES = 5
#: Session and user, run, attempts, events.
RUN_QUERIES = 5


def page_of(run: TaskRun) -> str:
    return f"/runs/{run.pk}/"


def rows_in(client: Client, query: str) -> list[str]:
    """The ids on a page of the list, in order."""
    content = client.get(f"/runs/{query}").content.decode()
    return re.findall(r'<tr id="run-([0-9a-f-]{36})">', content)


def test_the_list_filters_by_status_task_site_and_text(staff: Client) -> None:
    failed = make_run("dev.git_clone", status="FAILED", error={"message": "host key unknown"})
    pinned = make_run("udm.gateway_health", site="dc1")
    elsewhere = lost_and_done()
    assert rows_in(staff, "?status=FAILED") == [str(failed.pk)]
    assert rows_in(staff, "?task=udm.gateway_health") == [str(pinned.pk)]
    assert set(rows_in(staff, "?site=dc1")) == {str(pinned.pk), str(elsewhere.pk)}
    assert rows_in(staff, "?q=host+key") == [str(failed.pk)]
    assert len(rows_in(staff, "")) == 3


def test_a_list_without_a_hit_says_so(staff: Client) -> None:
    assert "No run fits." in text_of(staff, "/runs/?q=nothing-like-this")


@pytest.mark.parametrize("query", ["?status=TIRED", "?site=mars", "?cursor=x", f"?q={'x' * 201}"])
def test_a_filter_that_cannot_be_is_refused_with_the_reason(staff: Client, query: str) -> None:
    response = staff.get(f"/runs/{query}")
    assert response.status_code == 400
    assert b"errorlist" in response.content


def test_pages_follow_each_other_without_gap_or_repetition(staff: Client) -> None:
    made = [str(make_run(enqueued_at=ago(number // 3)).pk) for number in range(120)]
    seen, query = [], "?status=READY"
    while query:
        content = staff.get(f"/runs/{query}").content.decode()
        seen += re.findall(r'<tr id="run-([0-9a-f-]{36})">', content)
        following = re.search(r'rel="next" href="([^"]+)"', content)
        query = html.unescape(following[1]) if following else ""
    assert len(seen) == 120
    assert set(seen) == set(made)


def test_the_list_asks_as_often_for_fifty_runs_as_for_one(
    staff: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(50):
        make_run(status="SUCCESSFUL", token=number + 1, worker_id="celery@nuc.dc2")
    with django_assert_num_queries(LIST_QUERIES):
        staff.get("/runs/")


def test_the_page_of_a_run_tells_how_it_went(
    staff: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    run = lost_and_done()
    with django_assert_num_queries(RUN_QUERIES):
        page = text_of(staff, page_of(run))
    assert "successful, attempt 2" in page
    assert "Attempt 1 at DC1 was lost: dc1 was silent for 45 s. It can no longer commit." in page
    assert "Waited 52 s, then ran at DC2 for 11 s." in page
    assert "lost, 50 s" in page
    assert "A, may run again" in page
    assert "very-private" not in page
    assert f"/flower/task/{run.pk}" in staff.get(page_of(run)).content.decode()


def test_a_waiting_run_says_why(staff: Client) -> None:
    run = make_run("udm.gateway_health")
    assert "Waits: no live worker has the capability udm." in text_of(staff, page_of(run))


def test_an_error_is_shown_with_its_blame_and_whether_it_passes(staff: Client) -> None:
    error = {"kind": "TheirError", "message": "no such host", "blame": "theirs"}
    run = make_run(
        status="FAILED",
        error={**error, "transient": False},
        finished_at=ago(1),
        reason="the error is permanent",
    )
    page = text_of(staff, page_of(run))
    assert "theirs · permanent: somebody has to act" in page
    assert "TheirError : no such host" in page
    assert "The error is permanent." in page


def test_a_result_that_stayed_at_its_site_is_described(staff: Client) -> None:
    meta = {"summary": "14 interfaces", "size_bytes": 2202009, "digest": "ab12", "place": "r/1"}
    run = make_run(status="SUCCESSFUL", result_meta=meta, finished_at=ago(1))
    page = text_of(staff, page_of(run))
    assert "2.1 MB, kept at its site" in page
    assert "14 interfaces" in page
    assert "ab12" in page


def test_a_result_that_is_null_is_shown_as_such(staff: Client) -> None:
    run = make_run(status="SUCCESSFUL", finished_at=ago(1))
    assert "Result null" in text_of(staff, page_of(run))


def test_a_stale_outcome_is_marked(staff: Client) -> None:
    run = lost_and_done()
    Attempt.objects.filter(run=run, number=1).update(stale=True)
    assert "kept, not committed" in text_of(staff, page_of(run))


def test_an_unknown_run_is_not_found(staff: Client) -> None:
    response = staff.get("/runs/00000000-0000-4000-8000-000000000000/")
    assert response.status_code == 404
    assert b"There is no such page" in response.content


def test_the_live_part_of_a_finished_run_is_not_sent_twice(staff: Client) -> None:
    address = f"{page_of(lost_and_done())}fragment"
    etag = staff.get(address)["ETag"]
    assert staff.get(address, headers={"if-none-match": etag}).status_code == 304


def test_staff_cancel_a_run(staff: Client) -> None:
    run = make_run()
    response = staff.post(f"{page_of(run)}cancel", follow=True)
    run.refresh_from_db()
    assert run.status == "CANCELLED"
    assert b"Cancelled." in response.content
    assert RunEvent.objects.get(run=run, event="cancel").who == "keeper"


def test_staff_run_a_failed_run_again(staff: Client) -> None:
    run = make_run(status="FAILED", finished_at=ago(1), attempts=1)
    response = staff.post(f"{page_of(run)}retry", follow=True)
    run.refresh_from_db()
    assert run.status == "READY"
    assert b"It will run again." in response.content


def test_a_change_that_is_not_possible_changes_nothing_and_says_so(staff: Client) -> None:
    run = make_run(status="SUCCESSFUL", finished_at=ago(1))
    response = staff.post(f"{page_of(run)}cancel", follow=True)
    run.refresh_from_db()
    assert run.status == "SUCCESSFUL"
    assert b"Not changed: a run that is SUCCESSFUL cannot cancel" in response.content


def test_the_home_of_a_sites_own_run_is_asked(staff: Client) -> None:
    make_site("dc1", 1)
    run = make_run(home="dc1")
    response = staff.post(f"{page_of(run)}cancel", follow=True)
    page = html.unescape(response.content.decode())
    assert "DC1, the run's home, was asked to cancel it." in page
    assert HomeMail.objects.get().kind == "cancel"


@pytest.mark.parametrize("button", ["cancel", "retry"])
def test_a_button_needs_staff_a_post_and_a_token(guest: Client, button: str) -> None:
    run = make_run()
    assert guest.post(f"{page_of(run)}{button}").status_code == 403
    assert guest.get(f"{page_of(run)}{button}").status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = guest.cookies
    assert strict.post(f"{page_of(run)}{button}").status_code == 403
    assert b"Cancel</button>" not in guest.get(page_of(run)).content


def test_a_running_run_names_where_it_runs(staff: Client) -> None:
    worker_at(heard_site("dc2", 2), "nuc", "dev")
    run = make_run(status="RUNNING", token=9, attempts=1, started_at=ago(3), open_attempt=True)
    Attempt.objects.create(
        run=run,
        number=1,
        token=9,
        status="RUNNING",
        queue_name="dev",
        created_at=ago(4),
        published_at=ago(4),
        started_at=ago(3),
        site="dc2",
    )
    page = text_of(staff, page_of(run))
    assert "Runs at DC2." in page
    assert "so far" in page


def test_a_run_of_class_d_promises_no_second_attempt(staff: Client) -> None:
    run = make_run("dev.run_command", effect="D", max_attempts=3, attempts=1)
    page = text_of(staff, f"/runs/{run.pk}/")

    assert "1 made; one attempt, then a person decides" in page
    assert "at most 3" not in page
