"""Whatever Celery takes as an id, by push and by poll, from a task to the page and back."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.watcher import Watcher

ODD = [
    "import:42/ü",
    "a//b",
    "/leading",
    "ana@example.org",
    "100 %",
    "%2F",
    "..x/../y",
    "x/history",
    "x/cancel",
]


@pytest.fixture(scope="module")
def watcher(stack):
    with Watcher(stack.url) as watching:
        yield watching


@pytest.mark.parametrize("job_id", ODD)
def test_a_job_with_any_id_is_pushed_and_polled(stack, watcher, producer, job_id):
    """The wire shows the id as it is."""
    path = f"/api/jobs/{quote(job_id, safe='')}"
    watcher.call("subscribe-job", job_id)
    app = producer(stack)
    app.send_task("tests.count", args=[3], task_id=job_id)
    app.close()
    pushed = watcher.wait_for_status(job_id, "completed")
    assert pushed["jobId"] == job_id
    polled = stack.get(path)
    assert (polled.status, polled.json()["jobId"], polled.json()["status"]) == (200, job_id, "completed")
    past = stack.get(f"{path}/history")
    assert {event["jobId"] for event in past.json()["events"]} == {job_id}
    assert stack.post(f"{path}/cancel").status == 409  # it has ended
    assert "Traceback" not in stack.logs()


def test_a_running_job_with_any_id_is_cancelled(stack, watcher, producer):
    """By its route; its worker hears of it by the name of its room, as it renews the lease."""
    watcher.call("subscribe-job", "long/ü")
    app = producer(stack)
    app.send_task("tests.count", args=[1_000, 0.05], task_id="long/ü")
    app.close()
    watcher.wait_for_status("long/ü", "in_progress")
    assert stack.post(f"/api/jobs/{quote('long/ü', safe='')}/cancel").status == 202
    watcher.wait_for_status("long/ü", "cancelled")


def test_a_user_and_a_brand_may_be_called_anything(stack):
    """As an issuer of tokens calls them."""
    for path in ("/api/notifications/auth0%7Ca%2Fb", "/api/analytics/ana%40example.org"):
        assert stack.get(path).status == 200
    assert stack.get("/api/jobs?brandId=auth0%7Cx").json() == {"jobs": []}
