"""``jobcast``: serve, watch, doctor, token, as anybody would run them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

import jobcast
from jobcast.cli.watch import line_of
from jobcast.embedded import free_port
from jobcast.models import JobStatusUpdate
from tests.stack import ROOT, Stack, wait_for
from tests.watcher import Watcher

JOBCAST = [sys.executable, "-m", "jobcast"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command that ended, in an environment without settings."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [*JOBCAST, *arguments],
        cwd=ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.fixture(scope="module", params=["eventlet", "threading"])
def served(request, tmp_path_factory) -> Iterator[Stack]:
    """``jobcast serve`` in either mode, beside a Valkey."""
    stack = Stack(tmp_path_factory.mktemp(request.param), SOCKETIO_ASYNC_MODE=request.param)
    stack.valkey.start()
    try:
        stack.start_web(command=[*JOBCAST, "serve", "--port", str(stack.port)])
        yield stack
    finally:
        stack.stop()


def report(stack: Stack, job_id: str, status: str, **more: object) -> None:
    stack.ledger.append_job(JobStatusUpdate.model_validate({"job_id": job_id, "status": status, **more}))


def test_it_serves_pushes_polls_and_the_dashboard(served):
    """From a Redis alone, in any async mode."""
    with Watcher(served.url) as watcher:
        assert watcher.call("subscribe-job", "pushed")["ok"]
        report(served, "pushed", "completed")
        wait_for(lambda: [u["status"] for u in watcher.updates("pushed")] == ["completed"])
    assert served.get("/api/jobs/pushed").json()["status"] == "completed"
    assert "<title>Jobcast</title>" in served.get("/").text
    assert served.get("/jobcast.js").text.startswith("var Jobcast=")


def test_it_has_no_routes_of_this_deployment(served):
    """Nothing can be published where nobody publishes."""
    assert served.post("/api/jobs/publish", {}).status == 405  # "publish" is read as a job's id
    assert "/api/jobs/publish" not in served.get("/openapi.json").json()["paths"]


@pytest.mark.parametrize(
    ("status", "code"), [("completed", 0), ("published", 0), ("failed", 1), ("cancelled", 3)]
)
def test_watch_ends_with_a_code_for_the_outcome(served, status, code):
    """And prints each state on a line."""
    job_id = f"watched-{status}"
    report(served, job_id, "in_progress", progress=40)
    with ThreadPoolExecutor() as pool:
        watching = pool.submit(run, "watch", job_id, "--url", served.url, "--timeout", "20")
        report(served, job_id, status)
        done = watching.result()
    assert done.returncode == code, done.stderr
    assert done.stdout.splitlines()[-1].split()[0] == status


def test_watch_gives_up_in_time(served):
    """For scripts that must not hang."""
    done = run("watch", "nobody", "--url", served.url, "--timeout", "0.1")
    assert (done.returncode, done.stderr) == (4, "timed out\n")


def test_watch_says_why_it_cannot(served):
    """A line, no traceback."""
    done = run("watch", "a", "--url", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


def test_a_terminal_obeys_no_description():
    """Whoever reports may be somebody else than who watches."""
    update = {"status": "in_progress", "progress": 12.5, "description": "a\x1b[2Jb\nc"}
    assert line_of(update) == "in_progress  12.5 %  a[2Jb c"


def test_serve_ends_on_sigterm_and_tells_its_clients(served):
    """As ``python -m web`` does."""
    port = free_port()
    process = served.start_web(port, [*JOBCAST, "serve", "--port", str(port)])
    with Watcher(f"http://127.0.0.1:{port}", reconnection=False) as watcher:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        wait_for(lambda: watcher.of("server:restarting"))


@pytest.mark.parametrize("mode", ["eventlet", "threading"])
@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "jobcast serve: REDIS_URL"),
        ({"REDIS_URL": "redis://127.0.0.1:1", "HOST": "0.0.0.0"}, "jobcast serve: HOST"),
    ],
)
def test_serve_says_in_one_line_why_it_does_not(mode, environment, message):
    """It names the variable."""
    done = run("serve", SOCKETIO_ASYNC_MODE=mode, **environment)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_serve_names_its_settings_and_not_flasks_port():
    """``--help`` is where one looks."""
    text = run("serve", "--help").stdout
    assert "8765" in text
    assert "SOCKETIO_JWT_KEY" in text
    assert "JOBCAST_PROXY_HOPS=0" in text


def test_doctor_finds_nothing_wrong_with_a_redis_that_works(valkey):
    """A line each."""
    done = run("doctor", REDIS_URL=valkey.url)
    assert done.returncode == 0, done.stdout
    assert [line[0] for line in done.stdout.splitlines()] == ["✓"] * 4


@pytest.mark.parametrize(
    ("environment", "lines"),
    [
        ({}, ["✗ settings: REDIS_URL"]),
        ({"REDIS_URL": "redis://127.0.0.1:1"}, ["✓ settings", "✗ Redis answers: "]),
        ({"REDIS_URL": "redis://127.0.0.1:1", "SOCKETIO_DEBOUNCE_MS": "x"}, ["✗ settings: SOCKETIO_DEB"]),
    ],
)
def test_doctor_says_what_is_wrong(environment, lines):
    """And ends with 1, without a traceback."""
    done = run("doctor", **environment)
    assert done.returncode == 1
    assert done.stderr == ""
    for line, expected in zip(done.stdout.splitlines(), lines, strict=False):
        assert line.startswith(expected)


def test_doctor_leaves_nothing_behind(valkey):
    """In a Redis that others use."""
    run("doctor", REDIS_URL=valkey.url)
    with redis.Redis.from_url(valkey.url) as client:
        assert list(client.scan_iter("jobcast:doctor:*")) == []


def test_token_mints_as_python_m_web_does():
    """The same command by another name."""
    done = run("token", "--user", "ana", "--ttl", "90s", SOCKETIO_JWT_KEY="k" * 32)
    assert done.stdout.count(".") == 2
    assert run("token", "--user", "ana", "--ttl", "soon", SOCKETIO_JWT_KEY="k" * 32).returncode == 2
    assert run("token").returncode == 2


def test_the_command_says_its_version_and_what_it_can():
    """All of it, whatever is installed."""
    assert run("--version").stdout == f"jobcast, version {jobcast.__version__}\n"
    text = run("--help").stdout
    assert all(name in text for name in ("serve", "token", "doctor", "watch"))
