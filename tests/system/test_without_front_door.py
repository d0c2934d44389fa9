"""When a library is not as expected the server says so and serves the stock path, which does the same."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from jobcast.models import JobStatusUpdate
from tests.stack import Stack, wait_for
from tests.watcher import Watcher, assert_no_regression
from tests.wire import metric

#: Starts the web process with something of a library gone, as after an upgrade.
START = """
import warnings; warnings.simplefilter("ignore")
import eventlet; eventlet.monkey_patch()
import runpy, sys

def gone_for_us(owner, name):
    found = getattr(owner, name)
    def moved(*arguments, **options):
        if sys._getframe(1).f_globals["__name__"].startswith("jobcast.server.websocket"):
            raise AttributeError(name)
        return found(*arguments, **options)
    setattr(owner, name, moved)

{moved}
warnings.resetwarnings()
runpy.run_module("web", run_name="__main__")
"""
MOVED = {
    "how engineio tells its handlers": """
        import engineio
        gone_for_us(engineio.Server, "_trigger_event")
        """,
    "how engineio checks origins": """
        import engineio
        gone_for_us(engineio.Server, "_cors_allowed_origins")
        """,
    "how sessions are numbered": """
        import engineio
        gone_for_us(engineio.Server, "generate_id")
        """,
    "what wsproto keeps of a message": """
        from wsproto import frame_protocol
        made = frame_protocol.FrameProtocol.__init__
        def moved(self, *arguments, **options):
            made(self, *arguments, **options)
            self._renamed = self.__dict__.pop("_message_decoder")
        frame_protocol.FrameProtocol.__init__ = moved
        """,
    "how wsproto gives out frames": """
        from wsproto import frame_protocol
        del frame_protocol.FrameProtocol.received_frames
        """,
    "epoll": """
        from types import SimpleNamespace
        from eventlet import patcher
        found = patcher.original
        patcher.original = lambda name: SimpleNamespace() if name == "select" else found(name)
        """,
}


def serves(stack: Stack, transport: str) -> None:
    """Subscribe, see the state and updates, refuse what is wrong, leave."""
    job_id = f"stock-{transport.replace(',', '-')}"
    stack.ledger.append_job(JobStatusUpdate(job_id=job_id, status="in_progress", progress=10))
    wait_for(lambda: metric(stack, "clients") == 0)  # who came before
    with Watcher(stack.url, transport) as watching:
        wait_for(lambda: len(watching.of("server:hello")) == 2)
        assert watching.call("subscribe-job", job_id)["sequence"] == 1
        assert watching.call("subscribe-job", "a\tb")["error"]["code"] == "invalid-payload"
        wait_for(lambda: watching.client.transport() == transport.rpartition(",")[2])
        for progress in (50, 90):
            update = JobStatusUpdate(job_id=job_id, status="in_progress", progress=progress)
            stack.ledger.append_job(update)
        stack.ledger.append_job(JobStatusUpdate(job_id=job_id, status="completed", progress=100))
        watching.wait_for_status(job_id, "completed")
        assert_no_regression(watching.updates(job_id))
        assert (metric(stack, "clients"), metric(stack, "clients_direct")) == (1, 0)
        assert watching.call("unsubscribe-job", job_id)["ok"]
    wait_for(lambda: metric(stack, "subscriptions") == 0)


@pytest.mark.parametrize("name", MOVED)
def test_a_part_that_moved_closes_the_front_door_and_nothing_else(tmp_path: Path, name: str):
    """One line of the log says so; clients do not notice."""
    script = tmp_path / "moved.py"
    script.write_text(START.format(moved=textwrap.dedent(MOVED[name])))
    stack = Stack(tmp_path)
    try:
        stack.valkey.start()
        stack.start_web(command=[sys.executable, str(script)])
        assert "the front door stays closed, WebSockets go the stock way" in stack.logs()
        serves(stack, "websocket")
    finally:
        stack.stop()


def test_the_front_door_can_be_left_closed(tmp_path: Path):
    """JOBCAST_FRONT_DOOR=false: every transport on the stock path."""
    stack = Stack(tmp_path, JOBCAST_FRONT_DOOR="false")
    try:
        stack.valkey.start()
        stack.start_web()
        for transport in ("websocket", "polling", "polling,websocket"):
            serves(stack, transport)
        assert "Traceback" not in stack.logs()
    finally:
        stack.stop()


@pytest.mark.parametrize("transport", ["websocket", "polling,websocket"])
def test_usually_it_is_open_and_websockets_come_in_by_it(stack: Stack, transport: str):
    """So the tests of this folder test it, with python-socketio's client, the official one and Chromium."""
    before = metric(stack, "clients_direct")
    with Watcher(stack.url, transport) as watching:
        wait_for(lambda: watching.client.transport() == "websocket")
        wait_for(lambda: metric(stack, "clients_direct") == before + 1)
    wait_for(lambda: metric(stack, "clients_direct") == before)
    assert "front door stays closed" not in stack.logs()
