"""A real browser on the dashboard: it presses the button, sees the bar move, and ends on published."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from scripts.find_browser import HELP, find_browser
from tests.stack import ROOT, Stack, wait_for

#: ``make pictures`` keeps what the test saw for the README.
PICTURES = ROOT / (os.environ.get("JOBCAST_PICTURES") or "var/images")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


#: What the content security policy blocks becomes an error on the console, and so of every test.
TELL_VIOLATIONS = """
window.violations = [];
addEventListener('securitypolicyviolation', (event) => {
  window.violations.push(event.effectiveDirective);
  console.error(`blocked: ${event.effectiveDirective} ${event.blockedURI}`);
});
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = find_browser()
    if not path:
        pytest.fail(HELP)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def slow_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A platform as slow as a real one, so that there is something to see."""
    folder = tmp_path_factory.mktemp("browser")
    with Stack(folder, JOBCAST_LOCAL_DELAY_MS="40", SOCKETIO_DEBOUNCE_MS="250") as running:
        yield running


@pytest.fixture
def page(browser: Browser, slow_stack: Stack) -> Iterator[Page]:
    """The dashboard, live; no error may have reached its console."""
    context = browser.new_context(viewport={"width": 1280, "height": 560}, device_scale_factor=1.5)
    context.add_init_script(TELL_VIOLATIONS)
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    opened.goto(slow_stack.url)
    expect(opened.get_by_test_id("connection")).to_have_text("live")
    yield opened
    context.close()
    assert errors == []


def progress_of(page: Page) -> float:
    return float(page.get_by_test_id("job-card").first.get_attribute("data-progress") or 0)


def status_of(page: Page) -> str:
    return page.get_by_test_id("job-card").first.get_attribute("data-status") or ""


def watch(page: Page, status: str, timeout: float = 30) -> list[float]:
    """The different values the first bar showed until its job had this status."""
    seen: list[float] = []

    def ended() -> bool:
        value = progress_of(page)
        if not seen or value != seen[-1]:
            seen.append(value)
        return status_of(page) == status

    wait_for(ended, timeout, f"{status}; bar at {seen}")
    return [*seen, progress_of(page)]


def test_the_example_metrics_are_synced_live(page: Page):
    """Records go up to the total, on the job and on the brand."""
    page.get_by_test_id("sync-example").click()
    analytics = page.get_by_test_id("analytics")
    expect(analytics).to_contain_text("instagram", timeout=15_000)
    wait_for(lambda: status_of(page) == "completed", 30, "the sync to complete")
    bar = analytics.get_by_role("progressbar").first
    expect(bar).to_have_attribute("aria-valuenow", "100")


def test_the_example_calendar_is_published_live(page: Page):
    """The bar moves through at least three values, never back, and ends full on published."""
    page.get_by_test_id("publish-example").click()
    page.get_by_test_id("job-card").first.wait_for()
    wait_for(lambda: 35 < progress_of(page) < 90, 20, "the middle of the job")
    page.screenshot(path=PICTURES / "dashboard.png")
    values = watch(page, "published")
    assert values == sorted(values)
    assert len({value for value in values if value < 100}) >= 3
    assert values[-1] == 100
    expect(page.get_by_test_id("unread-count")).to_have_text("2")


def test_a_job_is_approved_from_the_page(page: Page):
    """It waits as pending, and goes on when somebody presses the button."""
    page.get_by_test_id("requires-approval").check()
    page.get_by_test_id("publish-example").click()
    card = page.get_by_test_id("job-card").first
    expect(card).to_have_attribute("data-status", "pending", timeout=15_000)
    page.locator("[data-testid^=approve-]").first.click()
    expect(card).to_have_attribute("data-status", "published", timeout=30_000)


def test_a_job_is_cancelled_from_the_page(page: Page):
    """It stops where it is."""
    page.get_by_test_id("publish-example").click()
    card = page.get_by_test_id("job-card").first
    expect(card).to_have_attribute("data-status", "in_progress", timeout=15_000)
    page.locator("[data-testid^=cancel-]").first.click()
    expect(card).to_have_attribute("data-status", "cancelled", timeout=15_000)
    assert progress_of(page) < 100


def test_a_page_that_is_opened_later_shows_what_there_is(page: Page, browser: Browser, slow_stack: Stack):
    """Jobs of the brand, and the inbox; and reading in one tab is seen in the other."""
    wait_for(lambda: page.get_by_test_id("job-card").count() >= 4, 10, "the jobs so far")
    unread = page.get_by_test_id("unread-count")
    before = wait_for(lambda: int(unread.inner_text()), 10, "unread notifications")
    other = browser.new_context().new_page()
    other.goto(slow_stack.url)
    expect(other.get_by_test_id("unread-count")).to_have_text(str(before))
    other.get_by_test_id("notifications").locator("li").first.click()
    expect(unread).to_have_text(str(before - 1))
    other.context.close()


def test_the_page_polls_while_the_server_is_away_and_is_live_again(browser: Browser, tmp_path):
    """The badge says so; the state is the newest when it is back."""
    stack = Stack(tmp_path)
    try:
        stack.valkey.start()
        web = stack.start_web()
        page = browser.new_context().new_page()
        page.goto(stack.url)
        badge = page.get_by_test_id("connection")
        expect(badge).to_have_text("live")
        web.terminate()
        web.wait(15)
        expect(badge).not_to_have_text("live", timeout=10_000)
        stack.start_web()
        expect(badge).to_have_text("live", timeout=15_000)
        page.context.close()
    finally:
        stack.stop()


def test_the_policy_of_the_dashboard_blocks_what_is_not_its_own(browser, slow_stack):
    """An inline script, an inline style and a foreign origin; the dashboard itself needs none of them."""
    context = browser.new_context()
    context.add_init_script(TELL_VIOLATIONS)
    opened = context.new_page()
    opened.goto(slow_stack.url)
    expect(opened.get_by_test_id("connection")).to_have_text("live")
    assert opened.evaluate("window.violations") == []
    opened.evaluate("""() => {
        for (const name of ['script', 'style']) {
            const element = document.createElement(name);
            element.textContent = name === 'script' ? 'window.ran = true' : 'body { color: red }';
            document.head.append(element);
        }
        fetch('http://127.0.0.1:1/').catch(() => null);
    }""")
    wait_for(lambda: len(opened.evaluate("window.violations")) == 3)
    assert {part.split("-")[0] for part in opened.evaluate("window.violations")} == {
        "script",
        "style",
        "connect",
    }
    assert opened.evaluate("window.ran") is None
    context.close()
