"""Several web processes on one port."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from jobcast.models import JobStatusUpdate
from tests.stack import ROOT, Stack, http, wait_for
from tests.watcher import Watcher, assert_no_regression


@pytest.fixture
def pair(own_stack) -> tuple[Stack, subprocess.Popen[bytes]]:
    """Two web processes behind one port, and the process that started them."""
    own_stack.valkey.start()
    parent = own_stack.start_web(WEB_CONCURRENCY="2")
    wait_for(lambda: len(sockets(own_stack.port, LISTENING)) == 2, what="two processes that listen")
    return own_stack, parent


def children(parent: subprocess.Popen[bytes]) -> list[int]:
    with open(f"/proc/{parent.pid}/task/{parent.pid}/children") as found:
        return [int(pid) for pid in found.read().split()]


ESTABLISHED, LISTENING = "01", "0A"


def sockets(port: int, state: str) -> set[str]:
    """The sockets of this port in this state, as a process's descriptors name them."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{port:04X}") and row[3] == state}


def connections(pid: int, port: int) -> int:
    """Connections to this port that a process holds."""
    ours = sockets(port, ESTABLISHED)
    return sum(name.is_symlink() and os.readlink(name) in ours for name in Path(f"/proc/{pid}/fd").iterdir())


def test_clients_of_one_port_are_spread_and_each_is_told_once(pair):
    """The kernel deals them out; every one of them sees every update exactly once."""
    stack, parent = pair
    wait_for(lambda: len(children(parent)) == 2)
    with ExitStack() as open_ones:
        watchers = [open_ones.enter_context(Watcher(stack.url)) for _ in range(16)]
        for watcher in watchers:
            watcher.call("subscribe-job", "j")
        held = [connections(pid, stack.port) for pid in children(parent)]
        assert min(held) > 0, held
        assert sum(held) >= 16
        for done in range(5):
            stack.ledger.append_job(
                JobStatusUpdate(job_id="j", status="in_progress", progress=done), mergeable=False
            )
        stack.ledger.append_job(JobStatusUpdate(job_id="j", status="completed", progress=100))
        for watcher in watchers:
            watcher.wait_for_status("j", "completed")
            assert_no_regression(watcher.updates("j"))
            assert len(watcher.updates("j")) == 6


def test_long_polling_is_refused_where_it_could_not_work(pair):
    """With the transport's name, not with sessions that get lost between processes."""
    stack, _ = pair
    answer = stack.get("/socket.io/?EIO=4&transport=polling")
    assert answer.status == 400
    assert "Invalid transport" in answer.text


def test_a_process_that_dies_is_started_again(pair):
    """And its clients come back by themselves."""
    stack, parent = pair
    wait_for(lambda: len(children(parent)) == 2)
    with ExitStack() as open_ones:
        watchers = [open_ones.enter_context(Watcher(stack.url)) for _ in range(8)]
        for pid in children(parent):
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: len(children(parent)) == 2 and stack._is_ready(stack.url + "/readyz"), 20)
        wait_for(lambda: all(watcher.client.connected for watcher in watchers), 30)
        assert not watchers[0].call("subscribe-job", "j").get("error")


def test_all_of_them_end_with_the_first(pair):
    """SIGTERM to the parent, as a platform sends it."""
    _, parent = pair
    wait_for(lambda: len(children(parent)) == 2)
    pids = children(parent)
    parent.terminate()
    assert parent.wait(20) == 0
    assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]


def test_a_setting_that_is_wrong_stops_them_all(own_stack):
    """One line each, and no endless restarts."""
    environment = {**own_stack.environment, "WEB_CONCURRENCY": "2", "SOCKETIO_CORS_ORIGIN": "*"}
    command = [sys.executable, "-m", "web"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 1
    assert set(re.findall(r"SOCKETIO_CORS_ORIGIN", ended.stderr)) == {"SOCKETIO_CORS_ORIGIN"}
    assert "Traceback" not in ended.stderr


def test_a_single_process_does_not_share_its_port(own_stack):
    """A second one says that the port is taken."""
    own_stack.valkey.start()
    own_stack.start_web()
    command = [sys.executable, "-m", "web"]
    ended = subprocess.run(
        command, cwd=ROOT, env=own_stack.environment, capture_output=True, text=True, timeout=30
    )
    assert ended.returncode == 1
    assert "PORT" in ended.stderr
    assert http("GET", own_stack.url + "/healthz").status == 200


def test_another_deployment_does_not_share_the_port_in_silence(pair):
    """Clients would be dealt out between two stores."""
    stack, _ = pair
    second = subprocess.run(
        [sys.executable, "-m", "web"],
        cwd=ROOT,
        env=stack.environment | {"WEB_CONCURRENCY": "2"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode == 1
    assert second.stderr.splitlines() == [
        f"jobcast web: PORT: {stack.port} cannot be used: Address already in use"
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
def test_children_do_not_outlive_a_parent_that_was_killed(pair):
    """They would keep the port, and nobody would look after them."""
    stack, parent = pair
    family = children(parent)
    parent.kill()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), what="children that end")
    assert not sockets(stack.port, LISTENING)
