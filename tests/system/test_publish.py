"""The whole way of a publishing job and of a sync: real input, real worker, real clients."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid

import pytest

from scripts import node
from tests.stack import ROOT, Stack, http, wait_for
from tests.watcher import Watcher, assert_no_regression

CALENDAR = (ROOT / "examples" / "content_calendar.csv").read_bytes()
EXPORT = (ROOT / "examples" / "metrics_export.csv").read_bytes()
EXAMPLES = str(ROOT / "examples" / "media")


def form(**fields: str | tuple[str, bytes]) -> tuple[bytes, dict[str, str]]:
    """A multipart body and its headers; a file is (name, content)."""
    boundary, parts = uuid.uuid4().hex, []
    for name, value in fields.items():
        filename, content = value if isinstance(value, tuple) else ("", value.encode())
        file = f'; filename="{filename}"' if filename else ""
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        parts.append(head.encode() + content + b"\r\n")
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def publish_calendar(stack: Stack, user: str, brand: str, approval: str = "false") -> dict:
    body, headers = form(
        brandId=brand, userId=user, requiresApproval=approval, calendar=("calendar.csv", CALENDAR)
    )
    answer = http("POST", f"{stack.url}/api/jobs/publish", body, headers)
    assert answer.status == 202, answer
    assert answer.headers["Location"] == f"/api/jobs/{answer.json()['jobId']}"
    return answer.json()


def notified(watcher: Watcher) -> list[str]:
    return [notification["type"] for notification in watcher.of("notification:received")]


@pytest.fixture
def watcher(stack):
    with Watcher(stack.url) as watching:
        yield watching


def test_a_content_calendar_is_published_live(stack, watcher):
    """From the form to published: the bar moves, the platform is named, the inbox hears of it."""
    user, brand = uuid.uuid4().hex, uuid.uuid4().hex
    watcher.call("subscribe-user", user, "/notifications")
    job_id = publish_calendar(stack, user, brand)["jobId"]
    watcher.call("subscribe-job", job_id)
    last = watcher.wait_for_status(job_id, "published")
    assert last["progress"] == 100
    assert last["completed"] == last["total"] >= 60
    assert last["details"]["published"] == last["total"]
    assert any(update.get("currentPlatform") for update in watcher.updates(job_id))
    assert_no_regression(watcher.updates(job_id))
    notification = watcher.wait_for_event("notification:received")
    assert (notification["type"], notification["brandId"]) == ("job-completed", brand)
    assert [job["jobId"] for job in stack.get(f"/api/jobs?brandId={brand}").json()["jobs"]] == [job_id]
    statuses = [e["status"] for e in stack.get(f"/api/jobs/{job_id}/history").json()["events"]]
    walked = list(dict.fromkeys(statuses))
    assert walked == ["draft", "pending", "approved", "in_progress", "published"]


def test_a_job_that_needs_approval_waits_for_it(stack, watcher):
    """draft → pending, the owner is asked; nothing is published before somebody approves, once."""
    user, brand = uuid.uuid4().hex, uuid.uuid4().hex
    watcher.call("subscribe-user", user, "/notifications")
    job_id = publish_calendar(stack, user, brand, approval="true")["jobId"]
    watcher.call("subscribe-job", job_id)
    watcher.wait_for_status(job_id, "pending")
    assert watcher.wait_for_event("notification:received")["type"] == "approval-needed"
    assert stack.post(f"/api/jobs/{job_id}/approve").status == 202
    assert stack.post(f"/api/jobs/{job_id}/approve").status == 409
    watcher.wait_for_status(job_id, "published")
    assert stack.post(f"/api/jobs/{job_id}/cancel").status == 409


def test_a_job_can_be_cancelled_before_it_was_approved(stack, watcher):
    """And does not run afterwards."""
    job_id = publish_calendar(stack, "ana", "acme", approval="true")["jobId"]
    watcher.call("subscribe-job", job_id)
    watcher.wait_for_status(job_id, "pending")
    assert stack.post(f"/api/jobs/{job_id}/cancel").json()["status"] == "cancelled"
    watcher.wait_for_status(job_id, "cancelled")
    assert stack.post(f"/api/jobs/{job_id}/approve").status == 409


def test_posts_as_json_and_a_platform_nobody_has(stack, watcher):
    """The contract's body; an error that says what is wrong, on the job and in the inbox."""
    user = uuid.uuid4().hex
    watcher.call("subscribe-user", user, "/notifications")
    body = {"brandId": "acme", "userId": user, "posts": [{"content": "hi", "platforms": ["local"]}]}
    job_id = stack.post("/api/jobs/publish", body).json()["jobId"]
    watcher.call("subscribe-job", job_id)
    watcher.wait_for_status(job_id, "published")
    body["posts"][0]["platforms"] = ["myspace"]
    job_id = stack.post("/api/jobs/publish", body).json()["jobId"]
    watcher.call("subscribe-job", job_id)
    assert "myspace" in watcher.wait_for_status(job_id, "failed")["error"]
    wait_for(
        lambda: [n["type"] for n in watcher.of("notification:received")] == ["job-completed", "job-failed"]
    )


def test_a_metrics_export_is_synced_with_true_counts(stack, watcher):
    """started, progress that never falls, completed; 20,000 records and more."""
    brand, user = uuid.uuid4().hex, uuid.uuid4().hex
    watcher.call("subscribe-brand", brand, "/analytics")
    watcher.call("subscribe-user", user, "/notifications")
    body, headers = form(platform="instagram", userId=user, export=("export.csv", EXPORT))
    accepted = http("POST", f"{stack.url}/api/analytics/{brand}/sync", body, headers)
    assert accepted.status == 202
    watcher.call("subscribe-job", accepted.json()["jobId"])
    last = watcher.wait_for_status(accepted.json()["jobId"], "completed")
    rows = EXPORT.count(b"\n") - 1
    assert last["completed"] == last["total"] >= 20_000
    wait_for(lambda: watcher.of("analytics:sync-progress")[-1]["eventType"].endswith("completed"))
    events = watcher.of("analytics:sync-progress")
    assert [e["eventType"] for e in events[:1]] == ["analytics:sync-started"]
    processed = [e["data"]["recordsProcessed"] for e in events]
    assert processed == sorted(processed)
    assert processed[-1] == events[-1]["data"]["totalRecords"] == last["total"] <= rows
    polled = stack.get(f"/api/analytics/{brand}").json()
    assert polled["currentProgress"] == events[-1]["data"]
    wait_for(lambda: notified(watcher) == ["sync-complete"])


@pytest.mark.parametrize("transport", ["websocket", "polling", "polling,websocket"])
def test_the_official_javascript_client_sees_it_move_and_end(stack, transport):
    """The guide's own lines, over WebSocket, over long polling, and from one to the other."""
    job_id = publish_calendar(stack, "ana", uuid.uuid4().hex)["jobId"]
    script = str(ROOT / "tests" / "system" / "official_client.mjs")
    result = subprocess.run(
        node.command("node", script, stack.url, transport, job_id),
        capture_output=True, text=True, timeout=40, check=False,
    )  # fmt: skip
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == 0, (result.stderr, events)
    assert (["upgrade", "websocket"] in events) is (transport == "polling,websocket")
    events = [event for event in events if event[0] != "upgrade"]
    assert [name for name, _ in events[:2]] == ["connect", "subscribed"]
    assert events[0][1] in transport.split(",")
    updates = [data for name, data in events if name == "job:status-changed"]
    assert updates[-1]["status"] == "published"
    assert_no_regression(updates)


def test_plain_polling_sees_the_same_end(stack):
    """No socket at all."""
    job_id = publish_calendar(stack, "ana", uuid.uuid4().hex)["jobId"]
    seen: list[str] = []

    def poll() -> bool:
        seen.append(stack.get(f"/api/jobs/{job_id}").json()["status"])
        return seen[-1] == "published"

    wait_for(poll)
    assert stack.get(f"/api/jobs/{job_id}").json()["progress"] == 100


def test_three_lines_give_an_existing_celery_app_a_live_bar(own_stack, tmp_path):
    """The example of the README, run as it stands there."""
    code = (ROOT / "README.md").read_text().split("```python\n", 1)[1].split("```", 1)[0]
    (tmp_path / "shop.py").write_text(code)
    own_stack.environment["PYTHONPATH"] = f"{ROOT}:{tmp_path}"
    own_stack.valkey.start()
    own_stack.start_web()
    own_stack.start_worker("shop", concurrency=1)
    send = "from shop import resize; print(resize.delay(list(range(20))).id)"
    environment = own_stack.environment
    sent = subprocess.run(
        [sys.executable, "-c", send], env=environment, capture_output=True, text=True, check=True
    )
    with Watcher(own_stack.url) as watching:
        job_id = sent.stdout.strip()
        watching.call("subscribe-job", job_id)
        last = watching.wait_for_status(job_id, "completed")
    assert (last["completed"], last["total"]) == (20, 20)
