"""The admin in Chromium: long values have room, lists fit a laptop."""

import pytest
from playwright.sync_api import Page

from fleet.models import SecurityEvent, TaskRun
from tests.browser.test_pages import a_fleet
from tests.fleet.api_calls import make_run

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def overlaps(page: Page, part: str) -> list[str]:
    """Texts of a part of the page that lie on each other or stick out of their card."""
    script = """part => {
      const found = [], boxes = [];
      for (const row of document.querySelectorAll(part)) {
        const card = row.closest('fieldset').getBoundingClientRect();
        const walk = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
        while (walk.nextNode()) {
          if (!walk.currentNode.data.trim()) continue;
          const range = document.createRange();
          range.selectNodeContents(walk.currentNode);
          for (const r of range.getClientRects()) {
            const text = walk.currentNode.data.trim().slice(0, 40);
            const inBox = walk.currentNode.parentElement.closest('pre');
            if (r.right > card.right + 1) found.push(`${text} sticks out`);
            for (const [b, other] of inBox ? [] : boxes)
              if (r.left < b.right - 1 && b.left < r.right - 1 &&
                  r.top < b.bottom - 4 && b.top < r.bottom - 4)
                found.push(`${text} lies on ${other}`);
            if (!inBox) boxes.push([r, text]);
          }
        }
      }
      return found;
    }"""
    found: list[str] = page.evaluate(script, part)
    return found


@pytest.mark.parametrize("width", [1280, 390])
def test_the_admin_page_of_a_run_has_room_for_long_values(page: Page, width: int) -> None:
    run = make_run(
        "dev.git_clone",
        token=1 << 60,
        attempts=1,
        reason="the host key has changed " * 8,
        kwargs={"url": "https://example.org/" + "very/long/path/" * 12},
        idempotency_key="nightly-" + "x" * 80,
        enqueued_by="schedule with a rather long name for a schedule",
    )
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"/admin/fleet/taskrun/{run.pk}/change/")
    assert overlaps(page, "fieldset .field-line") == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    waits = page.locator(".field-line", has_text="Waits because").locator(".readonly")
    assert waits.evaluate("value => value.offsetWidth") > 250


@pytest.mark.parametrize("model", ["taskrun", "attempt", "runevent", "securityevent", "worker"])
def test_lists_of_the_admin_fit_a_laptop(page: Page, model: str) -> None:
    a_fleet()
    run = TaskRun.objects.get()
    TaskRun.objects.update(reason="the host key has changed " * 8, enqueued_by="flower: keeper")
    SecurityEvent.objects.create(
        at=run.enqueued_at, kind="altered", run_id=str(run.pk), detail="x " * 99
    )
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"/admin/fleet/{model}/")
    page.wait_for_load_state("networkidle")
    table = page.locator("#result_list")
    assert table.evaluate("t => t.scrollWidth <= t.closest('[data-simplebar]').clientWidth")
    assert table.evaluate("t => Math.max(...[...t.rows].map(r => r.offsetHeight))") < 80
    lines = "ts => ts.map(t => t.getClientRects().length)"
    assert set(table.locator("time, .fleet-line").evaluate_all(lines)) == {1}


def test_a_browser_finds_the_icon_on_pages_of_others(page: Page, console: list[str]) -> None:
    answer = page.request.get("/favicon.ico")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/svg+xml")
    page.goto("/admin/")
    assert console == []
