"""``make run`` as a person uses it: one clear line when it cannot start, and nothing left when it stops."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jobcast.embedded import EmbeddedServerUnavailable, EmbeddedValkey, free_port
from tests.stack import ROOT, wait_for


def start(*command: str, **environment: str) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=clean | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run_and_fail(*module: str, **environment: str) -> str:
    """The output of a start that must fail with exit code 1."""
    process = start(sys.executable, "-m", *module, **environment)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1, output
    return output


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"REDIS_URL": "http://nope"}, "REDIS_URL: "),
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, "REDIS_URL: no Redis answers there"),
        ({"REDIS_URL": "redis://127.0.0.1:99999999/0"}, "REDIS_URL: "),
        ({"PORT": "http"}, "PORT: "),
        ({"SOCKETIO_DEBOUNCE_MS": "-1"}, "SOCKETIO_DEBOUNCE_MS: "),
    ],
)
def test_a_bad_setting_is_one_line_that_names_it(environment, words):
    """No traceback, exit code 1."""
    output = run_and_fail("scripts.run", **environment)
    assert words in output
    assert len(output.strip().splitlines()) == 1


def test_a_port_in_use_is_one_line():
    """It says which, and what to do."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        for module in ("scripts.run", "web"):
            output = run_and_fail(module, PORT=port, **_redis_for(module))
            assert f"PORT: {port} cannot be used" in output
            assert "Traceback" not in output


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "REDIS_URL: not set"),
        ({"REDIS_URL": "redis://127.0.0.1:1", "HOST": "0.0.0.0"}, "HOST: without SOCKETIO_JWT_KEY"),
        ({"REDIS_URL": "redis://127.0.0.1:1", "SOCKETIO_CORS_ORIGIN": "*"}, "SOCKETIO_CORS_ORIGIN: "),
        ({"REDIS_URL": "redis://127.0.0.1:1", "SOCKETIO_ASYNC_MODE": "gevent"}, "SOCKETIO_ASYNC_MODE: "),
    ],
)
def test_the_web_process_says_in_one_line_why_it_does_not_start(environment, words):
    """Closed by default: without a key only loopback is served."""
    output = run_and_fail("web", PORT=str(free_port()), **environment)
    lines = [line for line in output.splitlines() if "WARNING" not in line]
    assert len(lines) == 1
    assert words in lines[0]


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_everything_stops_and_nothing_is_left(sign):
    """Web, worker with its children, and Valkey; within ten seconds."""
    port = free_port()
    process = start(sys.executable, "-m", "scripts.run", PORT=str(port))
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.extend(process.stdout or ()), daemon=True)
    reader.start()
    try:
        for words in (f"open http://127.0.0.1:{port}", " ready."):
            wait_for(lambda words=words: any(words in line for line in seen), 30, f"{words} in {seen}")
        family = _descendants(process.pid)
    finally:
        process.send_signal(sign)
    assert process.wait(20) == 0
    reader.join()
    process.stdout.close()
    assert len(family) >= 5
    assert any("Warm shutdown" in line for line in seen)
    wait_for(lambda: not [pid for pid in family if _exists(pid)], 5, "no process left")


def test_an_embedded_server_starts_answers_and_stops():
    """And says clearly when its port is taken."""
    with EmbeddedValkey() as server:
        pid = server.pid
        assert _exists(pid)
        with pytest.raises(EmbeddedServerUnavailable, match=str(server.port)):
            EmbeddedValkey(server.port, log=Path(os.devnull)).start()
    assert not _exists(pid)


def _redis_for(module: str) -> dict[str, str]:
    return {} if module == "scripts.run" else {"REDIS_URL": "redis://127.0.0.1:1/0"}


def _descendants(pid: int) -> list[int]:
    """All processes below this one."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [found for child in map(int, children) for found in (child, *_descendants(child))]


def _exists(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
