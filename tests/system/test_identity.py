"""With a key: tokens over real sockets and HTTP; the same decision for push and poll."""

from __future__ import annotations

import time

import jwt
import pytest
import socketio

from jobcast.models import JobStatusUpdate
from tests.stack import Stack
from tests.watcher import Watcher

KEY = "a-key-for-tests-" * 4


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory):
    """Valkey and a web process with a key; no worker is needed to refuse."""
    running = Stack(tmp_path_factory.mktemp("keyed"), SOCKETIO_JWT_KEY=KEY, HOST="127.0.0.1")
    try:
        running.valkey.start()
        running.start_web()
        for owner in ("ana", "bo"):
            update = JobStatusUpdate(job_id=f"{owner}s", status="in_progress")
            running.ledger.append_job(update, meta={"ownerId": owner, "brandId": f"{owner}-brand"})
        yield running
    finally:
        running.stop()


def token(user: str = "ana") -> str:
    claims = {"sub": user, "brands": [f"{user}-brand"], "exp": time.time() + 60}
    return jwt.encode(claims, KEY, "HS256")


def test_nobody_connects_without_a_token(keyed):
    """The refusal carries a code."""
    for auth in (None, {"token": "forged"}):
        client, told = socketio.Client(reconnection=False), []
        client.on("connect_error", told.append, namespace="/jobs")
        with pytest.raises(socketio.exceptions.ConnectionError):
            client.connect(keyed.url, namespaces=["/jobs"], auth=auth, wait_timeout=5)
        client.disconnect()
        assert told[0]["data"] == {"code": "unauthenticated"}
    assert keyed.get("/api/jobs/anas").status == 401


def test_what_is_refused_by_push_is_refused_by_poll_and_unknown_looks_like_forbidden(keyed):
    """Not even the answer's words tell which ids exist."""
    bearer = {"Authorization": f"Bearer {token()}"}
    with Watcher(keyed.url, auth={"token": token()}) as watcher:
        for job_id, granted in (("anas", True), ("bos", False), ("nobodys", False)):
            answer = watcher.call("subscribe-job", job_id)
            assert answer["ok"] is granted
            assert (keyed.get(f"/api/jobs/{job_id}", **bearer).status == 200) is granted
        refused = [watcher.call("subscribe-job", job_id)["error"] for job_id in ("bos", "nobodys")]
        assert refused[0] == refused[1]
        for event, name, namespace in (
            ("subscribe-user", "bo", "/notifications"),
            ("subscribe-brand", "bo-brand", "/analytics"),
            ("mark-read", {"userId": "bo", "all": True}, "/notifications"),
            ("clear-notifications", "bo", "/notifications"),
            ("cancel-job", "bos", "/jobs"),
        ):
            assert watcher.call(event, name, namespace)["error"]["code"] == "forbidden"
    for path in ("/api/notifications/bo", "/api/analytics/bo-brand", "/api/jobs?brandId=bo-brand"):
        assert keyed.get(path, **bearer).status == 403
    texts = [keyed.get(f"/api/jobs/{job_id}", **bearer).text for job_id in ("bos", "nobodys")]
    assert texts[0] == texts[1]


def test_a_job_can_only_be_published_for_oneself(keyed):
    """The owner is the token's user, the brand one of the token's."""
    bearer = {"Authorization": f"Bearer {token()}"}
    body = {"brandId": "ana-brand", "userId": "ana", "posts": [{"content": "hi"}]}
    assert keyed.post("/api/jobs/publish", body, **bearer).status == 202
    for wrong in ({"userId": "bo"}, {"brandId": "bo-brand"}):
        assert keyed.post("/api/jobs/publish", body | wrong, **bearer).status == 403
