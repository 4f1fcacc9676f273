"""The pages in Chromium: live without reload, honest about a lost connection, readable."""

import os

import pytest
from django.utils import timezone
from playwright.sync_api import Page, Response, Route, expect

from fleet.models import ActivationLease, FleetEvent, FleetState, Site, TaskRun, Worker
from fleet.views import words
from tasks.boot import boot_id, boot_s
from tests.fleet.api_calls import make_run
from tests.fleet.view_rows import box_of, heard_site, lost_and_done, seen_broker, worker_at

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

POLL_MS = 2_000
FRAGMENT = "**/fleet/fragment"


def a_fleet() -> Worker:
    """Two sites, one worker, one run that needed two attempts."""
    site = heard_site("dc1", 1, broker={"role": "master"})
    box_of(site, "mini", cpu_percent=41.2, memory_percent=62.0, disk_percent=95.0)
    heard_site("dc2", 2)
    seen_broker()
    lost_and_done()
    return worker_at(site, "mini", "dev")


def next_poll(page: Page, part: str = FRAGMENT) -> Response:
    """Let the page's clock run until it has asked for its live part."""
    with page.expect_response(part) as answer:
        page.clock.run_for(POLL_MS + 100)
    return answer.value


def test_a_change_appears_without_reload_and_disturbs_nobody(
    page: Page, console: list[str]
) -> None:
    worker = a_fleet()
    page.goto("/")
    expect(page.get_by_role("heading", name="DC1")).to_be_visible()
    page.evaluate("window.stayed = true")
    page.get_by_role("link", name="all runs").focus()
    page.evaluate("scrollTo(0, 40)")
    Worker.objects.filter(pk=worker.pk).update(busy=3)
    run = make_run("udm.gateway_health")
    next_poll(page)
    expect(page.locator(f"#run-{run.pk}")).to_contain_text("no live worker has the capability udm")
    expect(page.locator("#site-dc1")).to_contain_text("3 of 4 slots busy")
    expect(page.get_by_role("link", name="all runs")).to_be_focused()
    assert page.evaluate("[window.stayed, scrollY]") == [True, 40]
    assert console == []


def test_a_row_keeps_the_focus_when_newer_ones_push_it_down(page: Page) -> None:
    a_fleet()
    old = TaskRun.objects.get()
    page.goto("/")
    page.locator(f"#run-{old.pk} a").focus()
    new = make_run("dev.git_log")
    next_poll(page)
    expect(page.locator(f"#run-{new.pk}")).to_be_visible()
    expect(page.locator(f"#run-{old.pk} a")).to_be_focused()


def test_an_unchanged_fleet_is_asked_for_and_not_sent(page: Page) -> None:
    a_fleet()
    page.goto("/")
    assert next_poll(page).status == 200
    assert next_poll(page).status == 304


def test_a_lost_connection_is_said_with_the_age_of_what_is_shown(page: Page) -> None:
    a_fleet()
    page.goto("/")
    next_poll(page)
    page.route(FRAGMENT, lambda route: route.abort())
    with page.expect_event("requestfailed"):
        page.clock.run_for(POLL_MS + 100)
    lost = page.get_by_role("alert")
    expect(lost).to_contain_text("Connection to the control plane lost, last update")
    page.clock.run_for(3_000)
    expect(lost).to_contain_text("last update 5 s ago")
    page.unroute(FRAGMENT)
    with page.expect_response(FRAGMENT):
        page.clock.run_for(2_000)
    expect(lost).to_be_hidden()


def test_failures_are_asked_about_less_and_less_often(page: Page) -> None:
    a_fleet()
    page.goto("/")
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    page.route(FRAGMENT, refuse)
    for wait_ms in (2_000, 4_000, 8_000):
        before = len(asked)
        page.clock.run_for(wait_ms - 200)
        assert len(asked) == before
        with page.expect_event("requestfailed"):
            page.clock.run_for(400)


def test_ages_count_up_between_the_answers(page: Page) -> None:
    a_fleet()
    page.goto("/")
    age = page.locator("#site-dc1 > .reason .age")
    before = int(age.inner_text().split()[0])
    page.route(FRAGMENT, lambda route: route.abort())
    page.clock.run_for(20_000)
    assert int(age.inner_text().split()[0]) in range(before + 19, before + 23)


def test_a_hidden_tab_asks_nothing_and_catches_up_at_once(page: Page) -> None:
    a_fleet()
    page.goto("/")
    next_poll(page)
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => window.away ?? true})")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(60_000)
    assert asked == []
    page.evaluate("window.away = false")
    with page.expect_response(FRAGMENT):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_who_is_logged_out_meanwhile_is_sent_to_the_login(page: Page) -> None:
    a_fleet()
    page.goto("/")
    page.context.clear_cookies()
    page.clock.run_for(POLL_MS + 100)
    page.wait_for_url("**/login/?next=/")


def test_the_browser_counts_in_the_same_words_as_the_server(page: Page) -> None:
    page.goto("/")
    seconds = [0, 0.9, 59, 60, 61, 400.7, 3_599, 3_600, 11_520, 86_399, 86_400, 187_200, -4]
    script = "s => import('/static/fleet/live.js').then(m => s.map(m.age))"
    assert page.evaluate(script, seconds) == [words.age(value) for value in seconds]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone(page: Page, scheme: str, console: list[str]) -> None:
    a_fleet()
    run = TaskRun.objects.get()
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 390, "height": 800})
    for path in ("/", "/runs/", f"/runs/{run.pk}/"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(246, 247, 245)", "dark": "rgb(15, 21, 18)"}[scheme]
    assert console == []


def test_a_run_is_cancelled_and_asked_for_again_on_its_page(page: Page, console: list[str]) -> None:
    run = make_run()
    page.goto(f"/runs/{run.pk}/")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("cancelled")
    page.get_by_role("button", name="Run again").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("waits")
    run.refresh_from_db()
    assert run.status == "READY"
    assert console == []


def test_the_page_of_a_run_follows_it(page: Page) -> None:
    run = make_run()
    page.goto(f"/runs/{run.pk}/")
    TaskRun.objects.filter(pk=run.pk).update(status="DEAD", reason="its worker is gone")
    next_poll(page, "**/fragment")
    expect(page.get_by_role("heading", level=1)).to_contain_text("needs a person")
    expect(page.get_by_role("button", name="Run again")).to_be_visible()


def test_the_keyboard_reaches_the_content_first(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


@pytest.mark.parametrize("path", ["/admin/", "/admin/fleet/taskrun/", "/api/v1/docs"])
def test_pages_of_others_work_under_our_policy(page: Page, path: str, console: list[str]) -> None:
    page.goto(path)
    page.wait_for_load_state("networkidle")
    assert [text for text in console if "Content Security Policy" in text] == []


def test_a_failover_says_who_is_down_and_why_at_any_width(page: Page, console: list[str]) -> None:
    now = timezone.now()
    a_fleet()
    heard_site(
        "dc3",
        3,
        broker={"role": "replica", "unsafe": ["the Sentinel of dc3 knows 3 others instead of 2"]},
    )
    Site.objects.filter(pk="dc1").update(
        verdict="down",
        verdict_reason="dc2 and dc3 reach each other, but not dc1: for 42 s",
        verdict_at=now,
        verdict_since=now,
        recovery="catch-up",
        recovery_reason="it was declared down",
    )
    FleetState.objects.create(
        mode="failover", site="dc1", epoch=7, since=now, reason="dc1 is down: two sites agree"
    )
    FleetEvent.objects.create(
        at=now,
        kind="verdict",
        subject="dc1",
        was="suspect",
        became="down",
        why="two sites agree",
        who="control plane",
    )
    ActivationLease.objects.create(
        generation=3,
        activator="dc2",
        down="dc1",
        granted_s=boot_s(),
        boot_id=boot_id(),
        machine="started",
        machine_reason="runs",
        machine_since=now,
    )
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto("/")
        expect(page.locator("#mode")).to_contain_text("under lease 3, asked for by DC2")
        expect(page.locator("#mode")).to_contain_text("Failover of DC1: the others carry on")
        expect(page.locator("#mode")).to_contain_text("epoch 7")
        expect(page.locator("#site-dc1")).to_contain_text("down or isolated")
        expect(page.locator("#site-dc1")).to_contain_text("but not dc1: for 42 s")
        expect(page.locator("#site-dc3")).to_contain_text("Unsafe broker")
        expect(page.get_by_text("Verdict of DC1: suspect → down")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        if folder := os.environ.get("PICTURES"):
            page.screenshot(path=f"{folder}/failover-{width}.png", full_page=True)
    assert console == []


def test_the_fields_of_the_filter_stay_level_beside_an_error(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto("/runs/?site=dc9")
    expect(page.get_by_text("Select a valid choice")).to_be_visible()
    tops = "es => [...new Set(es.map(e => Math.round(e.getBoundingClientRect().top)))]"
    assert len(page.locator(".filter input, .filter select, .filter .btn").evaluate_all(tops)) == 1
