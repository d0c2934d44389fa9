"""With a key: tokens over real sockets and HTTP; the same decision for push, poll and every action."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import jwt
import pytest
import redis
import socketio

from jobcast.models import AnalyticsEvent, JobStatusUpdate, Notification
from tests.stack import ROOT, Answer, Stack, http, wait_for
from tests.watcher import Watcher

KEY = "a-key-for-tests-" * 4
SECRET = "nobody-else-may-read-this"
#: Who, and what of bo's they may see: the job of bo and bo-brand, bo's inbox, bo-brand's analytics.
TABLE: dict[str, tuple[dict[str, Any], set[str]]] = {
    "admin": ({"sub": "root", "scope": "admin"}, {"job", "user", "brand"}),
    "owner": ({"sub": "bo"}, {"job", "user"}),
    "member": ({"sub": "cy", "brands": ["x", "bo-brand"]}, {"job", "brand"}),
    "job-scope": ({"sub": "bot", "scope": "job:bos"}, {"job"}),
    "user-scope": ({"sub": "bot", "scope": ["user:bo"]}, {"user"}),
    "brand-scope": ({"sub": "bot", "scope": "brand:bo-brand"}, {"brand"}),
    "stranger": ({"sub": "ana", "brands": ["ana-brand"]}, set()),
    "look-alike": ({"sub": "bos", "brands": ["bo", "bos"], "scope": "job:bo user:bos administrator"}, set()),
    "prefix": ({"sub": "b", "brands": ["bo-", "bo-brand2"], "scope": "job: job:* user:b brand:"}, set()),
}
#: What can be asked for over a socket: kind, event, namespace, argument.
EVENTS: list[tuple[str, str, str, Callable[[str, str, str], Any]]] = [
    ("job", "subscribe-job", "/jobs", lambda job, user, brand: job),
    ("job", "subscribe-job", "/jobs", lambda job, user, brand: {"jobId": job, "since": 0, "epoch": "x"}),
    ("job", "cancel-job", "/jobs", lambda job, user, brand: job),
    ("user", "subscribe-user", "/notifications", lambda job, user, brand: user),
    ("user", "mark-read", "/notifications", lambda job, user, brand: {"userId": user, "ids": []}),
    ("brand", "subscribe-brand", "/analytics", lambda job, user, brand: brand),
]
#: And over HTTP: kind, method, path, body.
ROUTES: list[tuple[str, str, str, Any]] = [
    ("job", "GET", "/api/jobs/{job}", None),
    ("job", "GET", "/api/jobs/{job}/history?since=0", None),
    ("job", "POST", "/api/jobs/{job}/approve", None),
    ("job", "POST", "/api/jobs/{job}/cancel", None),
    ("user", "GET", "/api/notifications/{user}", None),
    ("user", "POST", "/api/notifications/{user}/read", {"ids": []}),
    ("brand", "GET", "/api/jobs?brandId={brand}", None),
    ("brand", "GET", "/api/analytics/{brand}", None),
    ("brand", "POST", "/api/analytics/{brand}/sync", {"platform": "x", "userId": "bo", "export": "a,b\n"}),
]
BOS = {"job": "bos", "user": "bo", "brand": "bo-brand"}
NOBODYS = {"job": "nobodys", "user": "nobody", "brand": "no-brand"}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Valkey and a web process with a key; no worker is needed to refuse."""
    running = Stack(tmp_path_factory.mktemp("keyed"), SOCKETIO_JWT_KEY=KEY, HOST="127.0.0.1")
    try:
        running.valkey.start()
        running.start_web()
        for owner in ("ana", "bo"):
            update = JobStatusUpdate(job_id=f"{owner}s", status="in_progress", description=SECRET)
            running.ledger.append_job(update, meta={"ownerId": owner, "brandId": f"{owner}-brand"})
        yield running
    finally:
        running.stop()


def token(user: str = "ana", lasts: float = 60, **claims: Any) -> str:
    known = {"sub": user, "brands": [f"{user}-brand"], "exp": time.time() + lasts}
    return jwt.encode(known | claims, KEY, "HS256")


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def claimed(who: str) -> str:
    return token(**{"brands": []} | {"user": "x"} | TABLE[who][0])


def send(stack: Stack, method: str, path: str, body: Any, text: str) -> Answer:
    return http(method, stack.url + path, body, bearer(text))


def is_refusal(code: str | None) -> bool:
    return code in ("forbidden", "unauthenticated", "not-found")


def test_nobody_connects_without_a_token(keyed):
    """The refusal carries a code."""
    for auth in (None, {"token": "forged"}, {"token": token(lasts=-60)}):
        client, told = socketio.Client(reconnection=False), []
        client.on("connect_error", told.append, namespace="/jobs")
        with pytest.raises(socketio.exceptions.ConnectionError):
            client.connect(keyed.url, namespaces=["/jobs"], auth=auth, wait_timeout=5)
        client.disconnect()
        assert told[0]["data"] == {"code": "unauthenticated"}
    for _, method, path, body in ROUTES:
        assert send(keyed, method, path.format(**BOS), body, "forged").status == 401


@pytest.mark.parametrize("who", TABLE)
def test_every_row_of_the_decision_by_push_by_poll_and_to_act(keyed, who):
    """Granted is granted everywhere, refused is refused everywhere, in the same words as for the unknown."""
    _, granted = TABLE[who]
    text = claimed(who)
    with Watcher(keyed.url, auth={"token": text}) as watcher:
        for kind, event, namespace, argument in EVENTS:
            answer, unknown = (
                watcher.call(event, argument(*ids.values()), namespace) for ids in (BOS, NOBODYS)
            )
            assert is_refusal(answer.get("error", {}).get("code")) is (kind not in granted), (event, answer)
            if kind not in granted:
                assert answer == unknown
        seen = json.dumps(watcher.seen)
    for kind, method, path, body in ROUTES:
        if kind in granted and "sync" in path:
            continue  # would start one
        answer, unknown = (send(keyed, method, path.format(**ids), body, text) for ids in (BOS, NOBODYS))
        assert (answer.status in (401, 403, 404)) is (kind not in granted), (method, path, answer)
        if kind not in granted:
            assert (answer.status, answer.text) == (403, unknown.text)
            own = {"Date": "", "X-Request-Id": ""}
            assert dict(answer.headers) | own == dict(unknown.headers) | own
    assert (SECRET in seen) is ("job" in granted)


def test_what_happens_is_pushed_to_those_it_was_granted_to_and_to_nobody_else(keyed):
    """On both transports: everybody asks for everything, then something happens."""
    with ExitStack() as opened:
        watchers = {
            (who, transport): opened.enter_context(
                Watcher(keyed.url, transport, auth={"token": claimed(who)})
            )
            for who in TABLE
            for transport in ("websocket", "polling")
        }
        for watcher in watchers.values():
            for event, name, namespace in (
                ("subscribe-job", "bos", "/jobs"),
                ("subscribe-user", "bo", "/notifications"),
                ("subscribe-brand", "bo-brand", "/analytics"),
            ):
                watcher.emit(event, name, namespace)
                watcher.call(event, name, namespace)
            watcher.seen.clear()
        happen(keyed, "something-new")
        for (who, _), watcher in watchers.items():
            for kind, event in (
                ("job", "job:status-changed"),
                ("user", "notification:received"),
                ("brand", "analytics:sync-progress"),
            ):
                if kind in TABLE[who][1]:
                    watcher.wait_for_event(event)
        for (who, transport), watcher in watchers.items():
            for namespace, event in (("/jobs", "job"), ("/notifications", "user"), ("/analytics", "brand")):
                watcher.call(f"unsubscribe-{event}", "x", namespace)  # behind what was pushed before
            assert received_kinds(watcher) == TABLE[who][1], (who, transport, watcher.seen)


def happen(stack: Stack, text: str) -> None:
    """One event of each kind, for bo."""
    stack.ledger.append_job(JobStatusUpdate(job_id="bos", status="in_progress", attempt=9, description=text))
    notice = {"id": text, "type": "alert", "title": text, "message": text, "severity": "info"}
    stack.ledger.append_notification("bo", Notification.model_validate(notice))
    data = {"platform": "x", "progress": 1, "recordsProcessed": 1}
    event = {"syncId": text, "eventType": "analytics:sync-completed", "data": data}
    stack.ledger.append_analytics("bo-brand", AnalyticsEvent.model_validate(event))


def received_kinds(watcher: Watcher) -> set[str]:
    names = {"job:status-changed": "job", "notification:received": "user", "analytics:sync-progress": "brand"}
    return {names[event] for event, _ in watcher.seen if event in names}


def test_refusing_a_job_that_exists_takes_as_many_looks_at_the_store_as_an_unknown_one(keyed):
    """So that time does not tell what words do not."""
    store = redis.Redis.from_url(keyed.valkey.url)
    looks = []
    with Watcher(keyed.url, auth={"token": claimed("stranger")}) as watcher:
        for job_id in ("bos", "nobodys"):
            store.config_resetstat()
            for _ in range(3):
                watcher.call("subscribe-job", job_id)
                watcher.call("cancel-job", job_id)
                send(keyed, "GET", f"/api/jobs/{job_id}/history", None, claimed("stranger"))
            stats = store.info("commandstats")
            calls = {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}
            looks.append((calls.get("hmget"), calls.get("hgetall"), calls.get("multi")))
    store.close()
    assert looks == [(9, None, None)] * 2


def test_a_job_can_only_be_published_for_oneself(keyed):
    """The owner is the token's user, the brand one of the token's."""
    body = {"brandId": "ana-brand", "userId": "ana", "posts": [{"content": "hi"}]}
    assert keyed.post("/api/jobs/publish", body, **bearer(token())).status == 202
    answers = [
        keyed.post("/api/jobs/publish", body | wrong, **bearer(token()))
        for wrong in (
            {"userId": "bo"},
            {"brandId": "bo-brand"},
            {"brandId": "no-brand"},
            {"userId": "nobody"},
        )
    ]
    assert {(answer.status, answer.text) for answer in answers} == {(403, answers[0].text)}


def ended_by_us(stack: Stack, sids: list[str]) -> set[tuple[str, str, str]]:
    """What the audit log says of these clients: code, user and address; it has a line for each."""
    lines = [json.loads(line) for line in stack.logs().splitlines() if line.startswith('{"')]
    found = {line["sid"]: line for line in lines if line.get("sid") in sids and "code" in line}
    assert found.keys() == set(sids)
    return {(line["code"], line["user"], line["address"]) for line in found.values()}


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_token_that_expires_ends_its_connection_and_no_other(keyed, transport):
    """The client is told why, and what happens afterwards does not reach it."""
    # The leeway for clocks is ten seconds; this one is over in one or two.
    brief = Watcher(keyed.url, transport, auth={"token": token("bo", lasts=-8.5)}, reconnection=False)
    with brief, Watcher(keyed.url, transport, auth={"token": token("bo")}) as lasting:
        for watcher in (brief, lasting):
            assert watcher.call("subscribe-user", "bo", "/notifications")["ok"]
        sids = list(brief.client.namespaces.values())
        wait_for(lambda: len(brief.of("subscription-error")) == 5, what="all five namespaces to be told")
        assert {told["code"] for told in brief.of("subscription-error")} == {"unauthenticated"}
        wait_for(lambda: not brief.client.connected)
        happen(keyed, f"after-{transport}")
        wait_for(lambda: any(n["id"] == f"after-{transport}" for n in lasting.of("notification:received")))
        assert not any(n["id"] == f"after-{transport}" for n in brief.of("notification:received"))
    assert ended_by_us(keyed, sids) == {("unauthenticated", "bo", "127.0.0.1")}


def test_a_token_that_is_revoked_opens_nothing_any_more(keyed):
    """By the command; its connections end, polls and new connections are refused, other tokens stay good."""
    bad, good = token("bo", jti="bad"), token("bo", jti="good")
    with (
        Watcher(keyed.url, auth={"token": bad}, reconnection=False) as out,
        Watcher(keyed.url, auth={"token": good}) as stays,
    ):
        for watcher in (out, stays):
            assert watcher.call("subscribe-user", "bo", "/notifications")["ok"]
        sids = list(out.client.namespaces.values())
        command(keyed, "--revoke", bad)
        wait_for(lambda: not out.client.connected)
        assert out.of("subscription-error")[0]["code"] == "unauthenticated"
        happen(keyed, "revoked")
        wait_for(lambda: any(n["id"] == "revoked" for n in stays.of("notification:received")))
        assert not any(n["id"] == "revoked" for n in out.of("notification:received"))
    assert ended_by_us(keyed, sids) == {("unauthenticated", "bo", "127.0.0.1")}
    assert keyed.get("/api/notifications/bo", **bearer(bad)).status == 401
    assert keyed.get("/api/notifications/bo", **bearer(good)).status == 200
    with pytest.raises(socketio.exceptions.ConnectionError):
        Watcher(keyed.url, auth={"token": bad}, reconnection=False)


def test_the_command_mints_a_token_that_opens_what_it_says(keyed):
    """For development: user, brands, scopes and a lifetime."""
    text = command(keyed, "--user", "ana", "--brand", "acme", "--ttl", "90s", "--scope", "job:bos").strip()
    claims = jwt.decode(text, KEY, algorithms=["HS256"])
    assert (claims["sub"], claims["brands"], claims["scope"]) == ("ana", ["acme"], "job:bos")
    assert claims["exp"] - claims["iat"] == 90
    assert keyed.get("/api/jobs/bos", **bearer(text)).status == 200
    assert keyed.get("/api/analytics/acme", **bearer(text)).status == 200
    assert keyed.get("/api/notifications/bo", **bearer(text)).status == 403


@pytest.mark.parametrize(
    ("environment", "arguments", "message"),
    [
        ({"SOCKETIO_JWT_KEY": ""}, ("--user", "ana"), "jobcast token: SOCKETIO_JWT_KEY: not set"),
        (
            {"SOCKETIO_JWT_KEY": "", "JOBCAST_JWKS_URL": "https://x/"},
            ("--user", "ana"),
            "a public key cannot sign",
        ),
        ({"REDIS_URL": "redis://127.0.0.1:1"}, ("--revoke", "x"), "jobcast token: "),
        ({}, ("--revoke", "no.real.token"), "only a token with a jti"),
        ({}, ("--user", "no\tid"), "jobcast token: an id is"),
    ],
)
def test_the_command_says_in_one_line_what_it_cannot_do(keyed, environment, arguments, message):
    """And prints nothing that could be taken for a token."""
    done = run_command({**keyed.environment, **environment}, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def command(stack: Stack, *arguments: str) -> str:
    done = run_command(stack.environment, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_command(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "web", "token", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
