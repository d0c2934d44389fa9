"""The wire contract over real sockets and HTTP: python-socketio's client on both transports, and polls."""

from __future__ import annotations

import socket
import subprocess
import sys
import uuid

import pytest
import socketio

from jobcast.ledger import RedisLedger
from jobcast.models import JobStatusUpdate, Notification
from tests.stack import ROOT, wait_for
from tests.watcher import Watcher, assert_no_regression
from tests.wire import Wire


@pytest.fixture(params=["websocket", "polling"])
def watcher(request, stack):
    with Watcher(stack.url, request.param) as watching:
        yield watching


@pytest.fixture
def ledger(stack) -> RedisLedger:
    return stack.ledger


def fresh() -> str:
    return uuid.uuid4().hex


def test_the_default_namespaces_say_hello_and_the_config_says_the_same(stack, watcher):
    """Both of them; the two reconnection values reach browsers this way."""
    wait_for(lambda: len(watcher.of("server:hello")) == 2)
    config = stack.get("/api/config").json()
    assert config.pop("pollingInterval") == 5000
    assert watcher.of("server:hello") == [config, config]


def test_a_late_subscriber_sees_the_current_state_at_once(ledger, watcher):
    """Not at the next tick; and a poll says the same."""
    job_id = fresh()
    ledger.append_job(JobStatusUpdate(job_id=job_id, status="in_progress", progress=40))
    ack = watcher.call("subscribe-job", job_id)
    assert (ack["ok"], ack["sequence"], ack["recovered"]) == (True, 1, False)
    assert watcher.wait_for_event("subscribed")["jobId"] == job_id
    assert watcher.wait_for_status(job_id, "in_progress")["progress"] == 40


def test_a_poll_says_the_same_as_the_push(stack, ledger, watcher):
    """Both read the ledger."""
    job_id = fresh()
    watcher.call("subscribe-job", job_id)
    update = JobStatusUpdate(job_id=job_id, status="in_progress", progress=12.5, description="ü€😀")
    ledger.append_job(update)
    pushed = watcher.wait_for_status(job_id, "in_progress")
    polled = stack.get(f"/api/jobs/{job_id}")
    assert polled.json() == pushed
    assert polled.headers["ETag"] == f'"{pushed["epoch"]}-{pushed["sequence"]}"'
    again = stack.get(f"/api/jobs/{job_id}", **{"If-None-Match": polled.headers["ETag"]})
    assert (again.status, again.text) == (304, "")


def test_what_was_missed_is_replayed_to_a_client_that_comes_back(ledger, stack, watcher):
    """since and epoch; the missed events in order and nothing twice."""
    user = fresh()
    for n in range(5):
        ledger.append_notification(user, note(f"n{n}"))
    epoch = watcher.call("subscribe-user", user, "/notifications")["epoch"]
    watcher.call("unsubscribe-user", user, "/notifications")
    watcher.seen.clear()
    place = {"userId": user, "since": 3, "epoch": epoch}
    assert watcher.call("subscribe-user", place, "/notifications")["recovered"]
    ledger.append_notification(user, note("n5"))
    wait_for(lambda: len(watcher.of("notification:received")) == 3)
    assert [n["id"] for n in watcher.of("notification:received")] == ["n3", "n4", "n5"]


@pytest.mark.parametrize("since", [-1, 1.5, "3", True, 2**60, float("nan"), [], {}])
def test_an_absurd_since_is_an_invalid_payload(watcher, stack, since):
    """Never an exception in the log."""
    answer = watcher.call("subscribe-job", {"jobId": "j", "since": since})
    assert answer["error"]["code"] == "invalid-payload"
    assert "Traceback" not in stack.logs()


KINDS = (
    ("subscribe-job", "jobId", "/jobs"),
    ("subscribe-user", "userId", "/notifications"),
    ("subscribe-brand", "brandId", "/analytics"),
)


@pytest.mark.parametrize(("event", "field", "namespace"), KINDS)
def test_no_place_a_client_can_name_does_harm(watcher, stack, event, field, namespace):
    """Of every kind of topic: invalid-payload or the plain state, and nothing in the log."""
    name = fresh()
    for place in ({"since": -1}, {"since": 2**60}, {"since": "1"}, {"epoch": 7}, {"epoch": "e" * 65}):
        answer = watcher.call(event, {field: name, "epoch": "e", **place}, namespace)
        assert answer["error"]["code"] == "invalid-payload", place
    for place in (
        {"since": 2**53 - 1},
        {"since": 2**53 - 1, "epoch": "gone"},
        {"since": 0, "epoch": "é"},
        {"x": 1},
    ):
        answer = watcher.call(event, {field: name, **place}, namespace)
        assert (answer["ok"], answer["recovered"], answer["sequence"]) == (True, False, 0), place
    assert "Traceback" not in stack.logs()


@pytest.mark.parametrize(("event", "field", "namespace"), KINDS)
def test_a_topic_of_another_kind_is_refused(watcher, stack, event, field, namespace):
    """An id of the wrong name, or a kind's own event in another kind's namespace; a room's name is an id."""
    others = [(e, f) for e, f, _ in KINDS if f != field]
    for _, other in others:
        assert watcher.call(event, {other: "x"}, namespace)["error"]["code"] == "invalid-payload"
        assert watcher.call(event, f"{other[:-2]}:x", namespace)[field] == f"{other[:-2]}:x"
    for other, _ in others:
        watcher.emit(other, "x", namespace)
    assert watcher.call(event, fresh(), namespace)["ok"]
    assert not [e for e in watcher.of("subscribed") if "x" in e.values()]
    assert "Traceback" not in stack.logs()


def test_the_epoch_of_another_topic_gets_the_plain_state(ledger, watcher, stack):
    """Of the same kind or another one; a sequence means nothing without its epoch."""
    job_id, other, user = fresh(), fresh(), fresh()
    for name in (job_id, other):
        for _ in range(3):
            ledger.append_job(JobStatusUpdate(job_id=name, status="in_progress"))
    ledger.append_notification(user, note("n"))
    foreign = watcher.call("subscribe-job", other)["epoch"]
    answer = watcher.call("subscribe-job", {"jobId": job_id, "since": 2, "epoch": foreign})
    assert (answer["recovered"], answer["sequence"]) == (False, 3)
    answer = watcher.call("subscribe-user", {"userId": user, "since": 1, "epoch": foreign}, "/notifications")
    assert (answer["recovered"], answer["sequence"]) == (False, 1)
    assert watcher.wait_for_event("notification:received")["id"] == "n"
    assert "Traceback" not in stack.logs()


def test_no_since_of_a_poll_does_harm(stack, ledger):
    """The same for the routes: 400 or what is there, never 500."""
    job_id, user = fresh(), fresh()
    ledger.append_job(JobStatusUpdate(job_id=job_id, status="in_progress"))
    for path in (f"/api/jobs/{job_id}/history", f"/api/notifications/{user}"):
        for since in ("-1", "1.5", "x", "1e3", "NaN", "%00", str(2**60), "9" * 5000, ""):
            assert stack.get(f"{path}?since={since}").status in (200, 400), since
        assert stack.get(f"{path}?since={2**53 - 1}").status == 200
    assert "Traceback" not in stack.logs()


@pytest.mark.parametrize("epoch", ["unknown", ""])
def test_an_unknown_epoch_gets_the_plain_state(ledger, watcher, epoch):
    """recovered false, and then the state."""
    job_id = fresh()
    ledger.append_job(JobStatusUpdate(job_id=job_id, status="in_progress"))
    answer = watcher.call("subscribe-job", {"jobId": job_id, "since": 1, "epoch": epoch})
    assert (answer["recovered"], answer["sequence"]) == (False, 1)
    watcher.wait_for_status(job_id, "in_progress")


def test_a_refused_subscription_is_told_by_event_with_an_ack_as_well(watcher):
    """A client with ``retries`` asks for the ack by itself, and shows it to nobody."""
    answer = watcher.call("subscribe-job", {"jobId": "no\tid"})
    told = watcher.wait_for_event("subscription-error")
    assert told == answer["error"] | {"jobId": "no\tid"}


def test_who_has_a_state_already_is_not_sent_it_again(stack, ledger):
    """A proxy that compresses makes every ETag weak; a HEAD has the headers alone."""
    job_id = fresh()
    ledger.append_job(JobStatusUpdate(job_id=job_id, status="in_progress"))
    path = f"/api/jobs/{job_id}"
    tag = stack.get(path).headers["ETag"]
    for known in (tag, f"W/{tag}", f'"x", W/{tag}', "*"):
        assert stack.get(path, **{"If-None-Match": known}).status == 304
    assert stack.get(path, **{"If-None-Match": '"x"'}).status == 200
    for asked in (path, "/", "/socket.io/?EIO=3", "/nowhere"):
        assert _head_alone(stack.port, asked)


def _head_alone(port: int, path: str) -> bool:
    with socket.create_connection(("127.0.0.1", port), 5) as tcp:
        tcp.sendall(f"HEAD {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        whole = b"".join(iter(lambda: tcp.recv(65_536), b""))
    assert whole.startswith(b"HTTP/1.1 ")
    return whole.endswith(b"\r\n\r\n")


def test_an_unknown_namespace_is_refused_with_an_object(stack):
    """As the protocol and Node's server have it: a client reads the message from it."""
    wire = Wire(stack.port).open()
    wire.send("40/nowhere,")
    assert wire.read() == '44/nowhere,{"message":"Invalid namespace"}'
    wire.tcp.close()


@pytest.mark.parametrize(
    "argument", [None, 7, "", "a\tb", "x" * 257, "job:1\n", [], {"jobId": None}, {"userId": "u"}, "\x85"]
)
def test_a_bad_argument_is_refused_by_name(watcher, stack, argument):
    """In the ack when there is one, otherwise as subscription-error to that socket alone."""
    for event in ("unsubscribe-job", "cancel-job"):
        assert watcher.call(event, argument)["error"]["code"] == "invalid-payload"
    assert not watcher.of("subscription-error")
    watcher.emit("unsubscribe-job", argument)
    assert watcher.wait_for_event("subscription-error")["code"] == "invalid-payload"
    assert "Traceback" not in stack.logs()


def test_events_nobody_knows_are_ignored(watcher, stack):
    """Among them a client's own connect and disconnect."""
    for event in ("connect", "disconnect", "__init__", "trigger_event", "no-such-event"):
        watcher.emit(event, {"x": 1})
    assert watcher.call("subscribe-job", fresh())["ok"]
    assert "Traceback" not in stack.logs()


def test_after_unsubscribing_nothing_arrives(ledger, watcher):
    """The next subscriber's events are not ours."""
    left, stays = fresh(), fresh()
    for job_id in (left, stays):
        watcher.call("subscribe-job", job_id)
    assert watcher.call("unsubscribe-job", left)["ok"]
    for job_id in (left, stays):
        ledger.append_job(JobStatusUpdate(job_id=job_id, status="in_progress"))
    watcher.wait_for_status(stays, "in_progress")
    assert not watcher.updates(left)


def test_an_unmodified_flask_socketio_in_a_third_process_reaches_the_client(stack, watcher):
    """Somebody's existing worker, without sequence; an emit to a whole namespace does not pass."""
    job_id = fresh()
    watcher.call("subscribe-job", job_id)
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "from flask_socketio import SocketIO\n"
        f"queue = SocketIO(message_queue={stack.valkey.url!r})\n"
        f"update = dict(jobId={job_id!r}, status='in_progress', progress=7)\n"
        "queue.emit('job:status-changed', update | {'status': 'failed'}, namespace='/jobs', to='')\n"
        f"queue.emit('job:status-changed', update, namespace='/jobs', to='job:{job_id}')\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert watcher.wait_for_status(job_id, "in_progress") == {
        "jobId": job_id,
        "status": "in_progress",
        "progress": 7,
    }
    assert len(watcher.updates(job_id)) == 1


def test_the_guides_functions_can_be_called_from_any_process(stack, watcher):
    """A script of three lines, which ends at once: nothing is lost at its exit."""
    job_id, user, brand = fresh(), fresh(), fresh()
    for event, name, namespace in (
        ("subscribe-job", job_id, "/jobs"),
        ("subscribe-user", user, "/notifications"),
        ("subscribe-brand", brand, "/analytics"),
    ):
        watcher.call(event, name, namespace)
    code = (
        "from jobcast import *\n"
        f"broadcast_job_update({job_id!r}, dict(status='in_progress', progress=50,"
        " currentPlatform='instagram'))\n"
        f"send_notification_to_user({user!r}, dict(id='n', type='job-completed', title='Job Completed',"
        " message='done', severity='success'))\n"
        f"broadcast_analytics_event({brand!r}, dict(syncId='s', eventType='analytics:insights-generated',"
        " data=dict(platform='x', progress=100, recordsProcessed=5)))\n"
    )
    subprocess.run([sys.executable, "-c", code], env=stack.environment, cwd=ROOT, check=True)
    assert watcher.wait_for_status(job_id, "in_progress")["currentPlatform"] == "instagram"
    assert watcher.wait_for_event("notification:received")["title"] == "Job Completed"
    assert watcher.wait_for_event("analytics:sync-progress")["data"]["recordsProcessed"] == 5


def test_read_state_is_shared_between_tabs(stack, ledger, watcher):
    """One tab reads, the other hears of it; by socket or by HTTP."""
    user = fresh()
    for n in range(3):
        ledger.append_notification(user, note(f"n{n}"))
    watcher.call("subscribe-user", user, "/notifications")
    answer = watcher.call("mark-read", {"userId": user, "ids": ["n0"]}, "/notifications")
    assert answer["unreadCount"] == 2
    assert watcher.wait_for_event("notification:read")["ids"] == ["n0"]
    assert stack.post(f"/api/notifications/{user}/read", {"all": True}).json() == {"unreadCount": 0}
    wait_for(lambda: len(watcher.of("notification:read")) == 2)
    page = stack.get(f"/api/notifications/{user}?limit=2&since=1").json()
    assert [n["id"] for n in page["notifications"]] == ["n1", "n2"]
    assert all(n["read"] for n in page["notifications"])
    assert watcher.call("clear-notifications", user, "/notifications")["ok"]
    watcher.wait_for_event("notifications:cleared")
    assert stack.get(f"/api/notifications/{user}").json()["notifications"] == []


def test_a_burst_of_100_000_reports_is_at_most_five_updates_and_delays_nobody(stack, watcher, producer):
    """The cap of one per second holds at the receiver, and the job beside it keeps its own pace."""
    burst, beside = fresh(), fresh()
    for job_id in (burst, beside):
        watcher.call("subscribe-job", job_id)
    celery = producer(stack)
    celery.send_task("tests.burst", args=(100_000, 2.8), task_id=burst)
    watcher.wait_for_status(burst, "in_progress")
    celery.send_task("tests.count", args=(3,), task_id=beside)
    watcher.wait_for_status(beside, "completed", timeout=2)
    assert watcher.updates(burst)[-1]["status"] == "in_progress"
    last = watcher.wait_for_status(burst, "completed")
    assert last["completed"] == 100_000
    assert 2 < len(watcher.updates(burst)) <= 5
    assert_no_regression(watcher.updates(burst))


def test_the_cap_holds_when_many_workers_report_one_job(stack, ledger, watcher):
    """The web process merges what several reporters send within an interval."""
    job_id = fresh()
    watcher.call("subscribe-job", job_id)
    for n in range(200):
        ledger.append_job(JobStatusUpdate(job_id=job_id, status="in_progress", progress=n / 2, attempt=1))
    ledger.append_job(JobStatusUpdate(job_id=job_id, status="completed", progress=100, attempt=1))
    watcher.wait_for_status(job_id, "completed")
    assert len(watcher.updates(job_id)) <= 3
    assert_no_regression(watcher.updates(job_id))


def test_http_errors_are_problem_documents(stack):
    """RFC 9457 with a code of the contract; never a traceback."""
    cases = [
        ("GET", "/api/jobs/unknown", None, 404, "not-found"),
        ("GET", "/api/jobs/bad%0Aid", None, 400, "invalid-payload"),
        ("GET", "/api/jobs", None, 400, "invalid-payload"),
        ("GET", "/api/notifications/u?since=-1", None, 400, "invalid-payload"),
        ("GET", "/api/notifications/u?limit=1e9", None, 400, "invalid-payload"),
        ("GET", "/nowhere", None, 404, "not-found"),
        ("POST", "/api/jobs/publish", b"{", 400, "invalid-payload"),
        ("POST", "/api/jobs/publish", {"brandId": "b"}, 400, "invalid-payload"),
        ("POST", "/api/jobs/publish", PUBLISH | {"posts": []}, 400, "invalid-payload"),
        ("POST", "/api/jobs/publish", PUBLISH | {"unknown": 1}, 400, "invalid-payload"),
        ("POST", "/api/jobs/unknown/approve", None, 404, "not-found"),
        ("POST", "/api/jobs/unknown/cancel", None, 404, "not-found"),
        ("POST", "/api/notifications/u/read", [], 400, "invalid-payload"),
        ("POST", "/api/analytics/b/sync", {"platform": "x"}, 400, "invalid-payload"),
    ]
    for method, path, body, status, code in cases:
        answer = stack.get(path) if method == "GET" else stack.post(path, body)
        assert (answer.status, answer.json()["code"]) == (status, code), (path, answer)
        assert answer.headers["Content-Type"] == "application/problem+json"
    assert "Traceback" not in stack.logs()


def test_only_listed_origins_and_the_servers_own_may_connect(stack):
    """CORS on routes and on the sockets."""
    for origin, allowed in (
        ("http://localhost:5173", True),
        (stack.url, True),
        ("http://evil.example", False),
        ("null", False),
    ):
        headers = stack.get("/api/config", Origin=origin).headers
        assert (headers.get("Access-Control-Allow-Origin") == origin) is allowed
        status = stack.get("/socket.io/?EIO=4&transport=polling", Origin=origin).status
        assert status == (200 if allowed else 400)


def test_a_connect_packet_without_a_namespace_of_ours_is_refused(stack):
    """An unknown namespace is an error for the client, not for the server."""
    client = socketio.Client()
    with pytest.raises(socketio.exceptions.ConnectionError):
        client.connect(stack.url, namespaces=["/nope"], wait_timeout=5)
    client.disconnect()


PUBLISH = {"brandId": "acme", "userId": "ana", "posts": [{"content": "hello"}]}


def note(notification_id: str) -> Notification:
    return Notification(id=notification_id, type="alert", title="t", message="m", severity="info")
