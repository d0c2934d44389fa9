"""``python -m web`` in its three async modes, and what one page is told by another process."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import socketio
from flask_socketio import SocketIO

from jobcast.models import JobStatusUpdate
from tests.stack import ROOT, Stack, wait_for


@pytest.fixture(scope="module", params=["threading", "gevent"])
def stack(request: Any, tmp_path_factory: Any) -> Iterator[Stack]:
    """The web half alone, on a mode that is not the usual one."""
    running = Stack(tmp_path_factory.mktemp(request.param), SOCKETIO_ASYNC_MODE=request.param)
    try:
        running.valkey.start()
        running.start_web()
        yield running
    finally:
        running.stop()


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_job_is_seen_in_every_mode(stack, transport):
    """By push and by poll, on both transports."""
    client, seen = socketio.Client(reconnection=False), []
    client.on("job:status-changed", seen.append, namespace="/jobs")
    client.connect(stack.url, namespaces=["/jobs", "/"], transports=[transport])
    job = f"mode-{transport}"
    client.call("subscribe-job", job, namespace="/jobs", timeout=5)
    for progress in (1, 2):
        stack.ledger.append_job(JobStatusUpdate(job_id=job, status="in_progress", progress=progress))
    stack.ledger.append_job(JobStatusUpdate(job_id=job, status="completed"))
    wait_for(lambda: seen and seen[-1]["status"] == "completed", what="the last state")
    assert stack.get(f"/api/jobs/{job}").json()["sequence"] == seen[-1]["sequence"]
    _hang_up(client)


def test_it_tells_its_clients_before_it_ends_in_every_mode(stack):
    """And ends by itself, with nothing to complain of."""
    client, told = socketio.Client(reconnection=False), []
    client.on("server:restarting", told.append, namespace="/")
    client.connect(stack.url, namespaces=["/"], transports=["websocket"])
    web = stack.processes[0]
    web.send_signal(signal.SIGTERM)
    wait_for(lambda: told, what="a farewell")
    assert web.wait(15) == 0
    assert "Traceback" not in stack.logs()
    _hang_up(client)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"SOCKETIO_ASYNC_MODE": "asgi"}, "SOCKETIO_ASYNC_MODE"),
        ({"SOCKETIO_ASYNC_MODE": "threading", "WEB_CONCURRENCY": "2"}, "WEB_CONCURRENCY"),
        ({"SOCKETIO_CORS_ORIGIN": "https://*.example.com"}, "SOCKETIO_CORS_ORIGIN"),
        ({"SOCKETIO_CORS_ORIGIN": "localhost:5173"}, "SOCKETIO_CORS_ORIGIN"),
        ({"SOCKETIO_CORS_ORIGIN": "app.example.com"}, "SOCKETIO_CORS_ORIGIN"),
        ({"SOCKETIO_CORS_ORIGIN": "https://app.example.com/path"}, "SOCKETIO_CORS_ORIGIN"),
        ({"SOCKETIO_CORS_ORIGIN": "nonsense"}, "SOCKETIO_CORS_ORIGIN"),
    ],
)  # fmt: skip
def test_a_setting_that_nothing_could_match_stops_the_start(valkey, environment, said):
    """With one line that names it."""
    command = [sys.executable, "-m", "web"]
    environment |= {"REDIS_URL": valkey.url, "PATH": "/usr/bin:/bin", "PORT": "0"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=20)
    assert ended.returncode == 1
    assert said in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("namespace", ["/", "/jobs", "/notifications"])
def test_a_worker_answers_one_page_by_its_sid(own_stack, namespace):
    """As Flask-SocketIO's documentation has it; the other page is told nothing."""
    own_stack.valkey.start()
    own_stack.start_web()
    pages = [(socketio.Client(reconnection=False), []) for _ in range(2)]
    for client, seen in pages:
        client.on("*", lambda event, data, seen=seen: seen.append(event), namespace=namespace)
        client.connect(own_stack.url, namespaces=[namespace], transports=["websocket"])
    (one, its), (_, others) = pages
    worker = SocketIO(message_queue=own_stack.valkey.url, async_mode="threading")
    worker.emit("answer", {"x": b"\0"}, namespace=namespace, to=one.get_sid(namespace))
    wait_for(lambda: "answer" in its, what="an answer")
    assert "answer" not in others
    worker.server.manager.redis.close()
    for client, _ in pages:
        client.disconnect()


def _hang_up(client: socketio.Client) -> None:
    """At once; a stock server's WebSocket would take three seconds to answer a farewell."""
    if client.eio.ws:
        client.eio.ws.shutdown()
    else:
        client.disconnect()
