"""What a request may say: everything is checked by a model, and a problem names the field."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.stack import Stack, http
from tests.system.test_publish import CALENDAR, form
from tests.watcher import Watcher

POST = {"content": "hi"}
PUBLISH = {"brandId": "acme", "userId": "ana", "posts": [POST]}
SYNC = {"platform": "instagram", "userId": "ana", "export": "Post ID,Views\n"}
CSV = ("calendar.csv", CALENDAR)


def problem(answer: Any, status: int = 400) -> str:
    """The detail of a problem document about what was sent."""
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json"), answer
    assert answer.json()["code"] == "invalid-payload"
    return answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/jobs/publish", PUBLISH | {"admin": True}, "admin"),
        ("/api/jobs/publish", PUBLISH | {"posts": [POST | {"when": "now"}]}, "posts.0.when"),
        ("/api/jobs/publish", PUBLISH | {"posts": []}, "posts"),
        ("/api/jobs/publish", PUBLISH | {"posts": [{"content": ""}]}, "posts.0.content"),
        ("/api/jobs/publish", PUBLISH | {"posts": [POST | {"media": [""]}]}, "posts.0.media.0"),
        ("/api/jobs/publish", PUBLISH | {"posts": [POST | {"media": ["x" * 2_049]}]}, "posts.0.media.0"),
        ("/api/jobs/publish", PUBLISH | {"posts": [POST | {"platforms": ["a b"]}]}, "posts.0.platforms.0"),
        ("/api/jobs/publish", PUBLISH | {"posts": [POST] * 1_001}, "posts"),
        ("/api/jobs/publish", PUBLISH | {"brandId": "x" * 257}, "brandId"),
        ("/api/jobs/publish", PUBLISH | {"brandId": "acme\n"}, "brandId"),
        ("/api/jobs/publish", PUBLISH | {"userId": None}, "userId"),
        ("/api/jobs/publish", PUBLISH | {"requiresApproval": "yes"}, "requiresApproval"),
        ("/api/jobs/publish", PUBLISH | {"requiresApproval": 1}, "requiresApproval"),
        ("/api/jobs/publish", {}, "brandId"),
        ("/api/jobs/publish", {"brand_id": "acme", "userId": "ana", "posts": [POST]}, "brandId"),
        ("/api/analytics/acme/sync", SYNC | {"dryRun": True}, "dryRun"),
        ("/api/analytics/acme/sync", SYNC | {"export": 7}, "export"),
        ("/api/analytics/acme/sync", SYNC | {"platform": ""}, "platform"),
        ("/api/notifications/ana/read", {"ids": ["a"], "why": 1}, "why"),
        ("/api/notifications/ana/read", {"ids": ["a b"]}, "ids.0"),
        ("/api/notifications/ana/read", {"ids": ["a"] * 1_001}, "ids"),
        ("/api/notifications/ana/read", {"all": False}, "all"),
    ],
)
def test_a_body_that_says_something_else_is_refused_by_field(stack, path, body, field):
    """Unknown, missing, of another type, too long or too many."""
    assert problem(stack.post(path, body)).startswith(f"{field}: ")


@pytest.mark.parametrize("action", ["approve", "cancel"])
def test_actions_take_no_fields(stack, action):
    """An empty body or an empty object; checked only for who may act at all."""
    job_id = stack.post("/api/jobs/publish", PUBLISH | {"requiresApproval": True}).json()["jobId"]
    assert problem(stack.post(f"/api/jobs/{job_id}/{action}", {"force": True})).startswith("force: ")
    assert problem(stack.post(f"/api/jobs/{job_id}/{action}", []))
    assert stack.post(f"/api/jobs/{job_id}/cancel", {}).status == 202


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"brandId"', "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"\xff\xfe", "application/json"),
        (b'{"brandId": NaN}', "application/json"),
        (b'{"brandId":"acme","userId":"ana","posts":[{"content":"hi"}]}', "text/plain"),
        (b"brandId=acme&userId=ana", "application/x-www-form-urlencoded"),
    ],
)
def test_what_is_no_json_is_refused(stack, body, kind):
    """Broken, nested beyond reason, or of a type that another site's page could send without asking."""
    problem(http("POST", f"{stack.url}/api/jobs/publish", body, {"Content-Type": kind}))
    assert "Traceback" not in stack.logs()


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"brandId": "acme", "userId": "ana", "calendar": CSV, "admin": "true"}, "admin: "),
        ({"brandId": "acme", "userId": "ana", "calendar": CSV, "other": CSV}, "other: "),
        ({"brandId": "acme", "userId": "ana"}, "calendar: "),
        ({"brandId": "acme", "calendar": CSV}, "userId: "),
        ({"brandId": "a\tb", "userId": "ana", "calendar": CSV}, "brandId: "),
        (
            {"brandId": "acme", "userId": "ana", "calendar": CSV, "requiresApproval": "1"},
            "requiresApproval: ",
        ),
        ({"brandId": "acme", "userId": "ana", "calendar": ("c.csv", b"\xff\xfe\x00")}, "calendar: "),
    ],
)
def test_a_form_is_checked_like_a_body(stack, fields, names):
    """Text fields and files alike."""
    body, headers = form(**fields)
    assert problem(http("POST", f"{stack.url}/api/jobs/publish", body, headers)).startswith(names)


def test_a_field_that_was_sent_twice_is_refused(stack):
    """Nobody has to guess which one counts."""
    body, headers = form(brandId="acme", userId="ana", calendar=CSV)
    boundary = headers["Content-Type"].partition("boundary=")[2].encode()
    extra = b'Content-Disposition: form-data; name="userId"\r\n\r\nbo\r\n'
    twice = body.replace(
        b"--" + boundary + b"--", b"--" + boundary + b"\r\n" + extra + b"--" + boundary + b"--"
    )
    assert problem(http("POST", f"{stack.url}/api/jobs/publish", twice, headers)).startswith("userId: ")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A web process that takes little; what it may enqueue nobody works on."""
    running = Stack(
        tmp_path_factory.mktemp("small"), JOBCAST_CSV_MAX_BYTES="2048", JOBCAST_MAX_BODY_BYTES="8192"
    )
    try:
        running.valkey.start()
        running.start_web()
        yield running
    finally:
        running.stop()


def test_a_file_that_is_too_large_is_refused_by_the_limits_name(small):
    """As a form and as JSON; nothing is enqueued for it."""
    brand = uuid.uuid4().hex
    body, headers = form(platform="instagram", userId="ana", export=("e.csv", b"x" * 2_049))
    sync = f"{small.url}/api/analytics/{brand}/sync"
    expected = "export: larger than 2,048 bytes (JOBCAST_CSV_MAX_BYTES)"
    assert problem(http("POST", sync, body, headers)) == expected
    assert problem(http("POST", sync, SYNC | {"export": "ü" * 1_025})) == expected
    body, headers = form(brandId=brand, userId="ana", calendar=("c.csv", b"x" * 2_049))
    assert "JOBCAST_CSV_MAX_BYTES" in problem(http("POST", f"{small.url}/api/jobs/publish", body, headers))
    assert small.get(f"/api/jobs?brandId={brand}").json() == {"jobs": []}
    assert http("POST", sync, SYNC | {"export": "ü" * 1_024}).status == 202


def test_a_body_that_is_too_large_is_refused_by_the_limits_name(small):
    """Before it is read, whatever it is."""
    answer = http("POST", f"{small.url}/api/jobs/publish", PUBLISH | {"x": "x" * 9_000})
    assert "JOBCAST_MAX_BODY_BYTES" in problem(answer, 413)


def test_an_event_may_have_fields_nobody_knows(stack):
    """Two releases talk to each other during a deploy; what is known is still checked."""
    with Watcher(stack.url) as watcher:
        assert watcher.call("subscribe-job", {"jobId": "j", "colour": "red", "since": None})["ok"]
        read = {"userId": "ana", "all": True, "colour": "red"}
        assert watcher.call("mark-read", read, "/notifications")["ok"]
        for wrong in (
            {"jobId": "a\tb"},
            {"jobId": "j", "since": -1},
            {"jobId": "j", "epoch": 7},
            ["j"],
            7,
            None,
            {},
        ):
            assert watcher.call("subscribe-job", wrong)["error"]["code"] == "invalid-payload"
        for wrong in ({"userId": "ana", "ids": "n"}, {"userId": "ana", "ids": [7]}, {"userId": "ana"}):
            error = watcher.call("mark-read", wrong, "/notifications")["error"]
            assert error["code"] == "invalid-payload"
