"""The audit log of a run: who came, what was refused and done, by ids; and one request id all the way."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import time
from typing import Any

import flask
import jwt
import pytest
import socketio

from jobcast.server import audit
from tests.stack import Stack, wait_for
from tests.watcher import Watcher

KEY = "a-key-for-tests-" * 4
TOKEN = jwt.encode({"sub": "ana", "brands": ["acme"], "exp": time.time() + 600}, KEY, "HS256")
BEARER = {"Authorization": f"Bearer {TOKEN}"}
POSTS = {"brandId": "acme", "userId": "ana", "posts": [{"content": "hi"}]}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    """The deployment's own worker, and a web process that notes everything."""
    environment = {"SOCKETIO_JWT_KEY": KEY, "HOST": "127.0.0.1", "JOBCAST_AUDIT": "all"}
    running = Stack(tmp_path_factory.mktemp("audit"), **environment)
    try:
        running.valkey.start()
        running.start_web()
        running.start_worker("worker.app", concurrency=1)
        yield running
    finally:
        running.stop()


def lines(stack: Stack, kind: str) -> list[dict[str, Any]]:
    """What the audit log has of one kind, oldest first."""
    found = []
    for line in (stack.folder / "web.log").read_text().splitlines():
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return [line for line in found if isinstance(line, dict) and line.get("audit") == kind]


def test_one_request_id_goes_from_http_to_the_workers_log_and_the_last_event(keyed):
    """The caller's own, where it has one; events of mere progress stay as small as they were."""
    answer = keyed.post("/api/jobs/publish", POSTS, **BEARER, **{"X-Request-Id": "req-7.a"})
    assert (answer.status, answer.headers["X-Request-Id"]) == (202, "req-7.a")
    job_id = answer.json()["jobId"]
    assert answer.json()["requestId"] == "req-7.a"
    wait_for(lambda: keyed.get(f"/api/jobs/{job_id}", **BEARER).json()["status"] == "published")
    assert keyed.get(f"/api/jobs/{job_id}", **BEARER).json()["requestId"] == "req-7.a"
    events = keyed.get(f"/api/jobs/{job_id}/history", **BEARER).json()["events"]
    statuses = [event["status"] for event in events]
    changes = [e for e, before in zip(events, ["", *statuses], strict=False) if e["status"] != before]
    assert {event.get("requestId") for event in changes} == {"req-7.a"}
    assert all("requestId" not in event for event in events if event not in changes)
    wait_for(lambda: f"{job_id}] succeeded" in keyed.logs())
    assert any("request=req-7.a" in line for line in keyed.logs().splitlines())
    (published,) = lines(keyed, "publish")
    assert (published["user"], published["topic"]) == ("ana", f"job:{job_id}")
    assert (published["request_id"], published["address"]) == ("req-7.a", "127.0.0.1")


@pytest.mark.parametrize("given", ["a b", "x" * 129, "ü", "a;b"])
def test_a_request_id_of_another_shape_is_replaced(keyed, given):
    """It would go into logs as it is."""
    answered = keyed.get("/healthz", **{"X-Request-Id": given.encode().decode("latin-1")})
    assert len(answered.headers["X-Request-Id"]) == 32


def test_everything_that_is_decided_is_noted_and_a_token_never_is(keyed):
    """Over sockets and HTTP; the whole log of the run is searched for what must not be in it."""
    forged = TOKEN[:-4] + "AAAA"
    with Watcher(keyed.url, auth={"token": TOKEN}) as watcher:
        job_id = keyed.post("/api/jobs/publish", POSTS | {"requiresApproval": True}, **BEARER).json()["jobId"]
        assert watcher.call("subscribe-job", job_id)["ok"]
        watcher.wait_for_status(job_id, "pending")
        assert keyed.post(f"/api/jobs/{job_id}/approve", **BEARER).status == 202
        other = keyed.post("/api/jobs/publish", POSTS | {"requiresApproval": True}, **BEARER).json()["jobId"]
        assert watcher.call("cancel-job", other)["ok"]
        assert not watcher.call("subscribe-user", "bo", "/notifications")["ok"]
        assert not watcher.call("subscribe-job", TOKEN[:100])["ok"]
    assert keyed.get("/api/notifications/bo", **BEARER).status == 403
    assert keyed.get(f"/api/jobs/{TOKEN[:100]}", **BEARER).status == 403
    assert keyed.get("/api/jobs/x", Authorization=f"Bearer {forged}").status == 401
    client = socketio.Client(reconnection=False)
    with pytest.raises(socketio.exceptions.ConnectionError):
        client.connect(keyed.url, namespaces=["/jobs"], auth={"token": forged}, wait_timeout=5)
    client.disconnect()
    wait_for(lambda: lines(keyed, "disconnect"), what="disconnect lines")
    assert {line["user"] for line in lines(keyed, "connect")} == {"ana"}
    assert [line["topic"] for line in lines(keyed, "subscribe")] == [f"job:{job_id}"]
    assert [line["topic"] for line in lines(keyed, "approve")] == [f"job:{job_id}"]
    assert [line["topic"] for line in lines(keyed, "cancel")] == [f"job:{other}"]
    refused = lines(keyed, "refuse")
    assert {"user:bo"} <= {line.get("topic") for line in refused}
    assert {line["code"] for line in refused} == {"forbidden", "unauthenticated"}
    assert {"notifications.inbox", "jobs.show"} <= {line.get("route") for line in refused}
    assert [line for line in refused if line.get("address") != "127.0.0.1"] == []
    log = keyed.logs()
    for secret in (TOKEN[:60], TOKEN.split(".")[1], TOKEN.split(".")[2][:20], "Bearer", KEY):
        assert secret not in log


@pytest.mark.parametrize(
    ("extent", "keyed", "noted"),
    [
        ("off", True, set()),
        ("changes", False, {"refuse", "limit", "publish"}),
        ("changes", True, {"refuse", "limit", "publish", "connect"}),
        ("all", False, {"refuse", "limit", "publish", "connect", "subscribe"}),
    ],
)
def test_the_extent_decides_what_is_noted(extent, keyed, noted, capsys):
    """``JOBCAST_AUDIT``; who comes and goes is noted where a key gives them names."""
    logger = logging.getLogger(audit.LOGGER)
    logger.handlers.clear()
    audit.start(extent, keyed=keyed)
    with flask.Flask("tests").test_request_context("/"):
        audit.note("connect", user="ana")
        audit.note("subscribe", user="ana", topic="job:1")
        audit.note("publish", user="ana", topic="job:1")
        audit.refused("forbidden")
        audit.refused("rate-limited")
        audit.refused("invalid-payload")
    logger.handlers.clear()
    found = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert {line["audit"] for line in found} == noted
    assert all(line["time"].endswith("Z") for line in found) or not found


def test_why_a_token_was_refused_is_noted_and_not_answered(keyed):
    """By HTTP and by Socket.IO alike."""
    expired = jwt.encode({"sub": "ana", "exp": time.time() - 60}, KEY, "HS256")
    answer = keyed.get("/api/jobs/j", Authorization=f"Bearer {expired}")
    assert (answer.status, answer.json()["detail"]) == (401, "the token is not valid")
    with pytest.raises(socketio.exceptions.ConnectionError):
        Watcher(keyed.url, auth={"token": expired})
    noted = wait_for(lambda: [line for line in lines(keyed, "refuse") if "expired" in line.get("reason", "")])
    assert {line.get("route") or line.get("namespace") for line in noted} >= {"jobs.show", "/jobs"}


def test_a_session_is_served_where_it_was_opened_only(keyed):
    """Whoever has read its id in a proxy's log gets nothing; what is sent is no line of ours."""
    opened = keyed.get("/socket.io/?EIO=4&transport=polling")
    sid = json.loads(opened.text[1:])["sid"]
    asked = f"/socket.io/?EIO=4&transport=polling&sid={sid}"
    assert raw_status(keyed.port, asked, source="127.0.0.9") == 400
    assert keyed.post(asked, b"40").status == 200
    forged = "x%0a2026-01-01%20WARNING%20FORGED%1b[31m"
    for path in (f"/socket.io/?EIO=4&transport=polling&sid={forged}", f"{asked}&j=0"):
        assert keyed.get(path).status == 400
    log = keyed.logs()
    assert "\x1b" not in log
    assert not [line for line in log.splitlines() if line.startswith("2026-01-01")]


def raw_status(port: int, path: str, source: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5, source_address=(source, 0))
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().status
