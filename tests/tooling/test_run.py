"""``make run`` as a person uses it: one clear line when it cannot start, and nothing left when it stops."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from jobcast.embedded import EmbeddedServerUnavailable, EmbeddedValkey, free_port
from scripts import run
from scripts.run import CannotWrite, check_disk
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
        ({"REDIS_URL": "redis://127.0.0.1:1", "SOCKETIO_ASYNC_MODE": "asgi"}, "SOCKETIO_ASYNC_MODE: "),
    ],
)
def test_the_web_process_says_in_one_line_why_it_does_not_start(environment, words):
    """Closed by default: without a key only loopback is served."""
    output = run_and_fail("web", PORT=str(free_port()), **environment)
    lines = [line for line in output.splitlines() if "WARNING" not in line]
    assert len(lines) == 1
    assert words in lines[0]


@pytest.mark.parametrize("command", [("web",), ("celery", "-A", "worker.app", "worker")])
@pytest.mark.parametrize(
    "url",
    ["redis://127.0.0.1:66000/0", "redis://:p#w@127.0.0.1:1/0", "redis://127.0.0.1:1/first", "sentinel://h"],
)
def test_a_url_that_no_client_could_use_is_one_line_in_web_and_worker_alike(command, url):
    """A port that is none, a # in a password, a database that is no number; the password is not repeated."""
    output = run_and_fail(*command, REDIS_URL=url, PORT=str(free_port()))
    (line,) = [line for line in output.splitlines() if "WARNING" not in line]
    assert "REDIS_URL: " in line
    assert "p#w" not in line


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_everything_stops_and_nothing_is_left(sign):
    """Web, worker with its children, and Valkey; within ten seconds, the worker in its own time."""
    with Running("-m", "scripts.run") as system:
        system.wait_until_up()
        family = system.family()
        began = time.monotonic()
        assert system.end(sign) == 0
        assert time.monotonic() - began < 10
    assert len(family) >= 5
    assert system.said("Warm shutdown")
    nobody_is_left(family)


def test_a_signal_while_starting_stops_what_has_started():
    """Valkey is up, web and worker are not yet."""
    with Running("-m", "scripts.run") as system:
        system.wait_for("embedded Valkey on")
        family = system.family()
        assert system.end(signal.SIGTERM) == 0
    assert family
    nobody_is_left(family)


def test_a_stop_is_put_off_until_there_is_something_to_stop(monkeypatch):
    """honcho alone ends in a KeyError here, and leaves its processes behind."""
    put_off = []
    monkeypatch.setattr(run, "_later", lambda seconds, action: put_off.append(action))
    manager = run.Manager()
    manager.add_process("web", "exit")
    manager.terminate()
    assert put_off == [manager.terminate]
    assert not manager._terminating


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
def test_a_killed_start_script_leaves_nothing():
    """SIGKILL cannot be handled, so the kernel has to stop the others."""
    with Running("-m", "scripts.run") as system:
        system.wait_until_up()
        family = system.family()
        assert system.end(signal.SIGKILL) == -signal.SIGKILL
    nobody_is_left(family)


def test_what_hangs_is_killed_when_its_time_is_over():
    """A stopped process cannot react to anything."""
    shorter = "import sys, scripts.run as run; run.STOP_TIMEOUT = 1; sys.exit(run.main())"
    with Running("-c", shorter) as system:
        system.wait_until_up()
        family = system.family()
        for name in ("web", "worker"):
            os.kill(system.pid_of(name), signal.SIGSTOP)
        assert system.end(signal.SIGTERM) == 0
    assert system.said("sending SIGKILL to worker")
    nobody_is_left(family)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    """Read-only, somebody else's, full: the reason is the system's."""
    in_the_way = tmp_path / "var"
    in_the_way.write_text("")
    with pytest.raises(CannotWrite, match=r"var cannot be written to \(File exists\)"):
        check_disk(in_the_way)


def test_an_embedded_server_starts_answers_and_stops():
    """And says clearly when its port is taken."""
    with EmbeddedValkey() as server:
        pid = server.pid
        assert _exists(pid)
        with pytest.raises(EmbeddedServerUnavailable, match=str(server.port)):
            EmbeddedValkey(server.port, log=Path(os.devnull)).start()
    assert not _exists(pid)


class Running:
    """The start script with its output read, on a port of its own."""

    def __init__(self, *command: str) -> None:
        self.port = free_port()
        self.process = start(sys.executable, *command, PORT=str(self.port))
        self._lines: list[str] = []
        self._family: list[int] = []
        self._reader = threading.Thread(
            target=lambda: self._lines.extend(self.process.stdout or ()), daemon=True
        )

    def __enter__(self) -> Running:
        self._reader.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for pid in (self.process.pid, *self._family) if kind else ():
            _kill(pid)  # a failed test leaves nothing either
        self._reader.join(10)
        self.process.wait(1)
        if not self._reader.is_alive():  # somebody left over holds the other end
            self.process.stdout.close()

    def said(self, words: str) -> str | None:
        return next((line for line in self._lines if words in line), None)

    def wait_for(self, words: str) -> str:
        return wait_for(lambda: self.said(words), 30, f"{words!r} in {self._lines}")

    def wait_until_up(self) -> None:
        self.wait_for(f"open http://127.0.0.1:{self.port}")
        self.wait_for(" ready.")

    def pid_of(self, name: str) -> int:
        return int(self.wait_for(f"{name} started (pid=").split("pid=")[1].rstrip(")\n"))

    def family(self) -> list[int]:
        self._family = _descendants(self.process.pid)
        return self._family

    def end(self, sign: int) -> int:
        """The exit code after this signal."""
        self.process.send_signal(sign)
        return self.process.wait(20)


def nobody_is_left(family: list[int]) -> None:
    """Wait until that is so; otherwise fail, and leave nobody all the same."""
    try:
        wait_for(lambda: not [pid for pid in family if _exists(pid)], 10, "no process left")
    finally:
        for pid in family:
            _kill(pid)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


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
