"""A job in a real worker, pushed and polled, with whatever versions are installed; for ``make matrix``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.stack import ROOT, Stack, wait_for
from tests.watcher import Watcher, assert_no_regression

SHOP = ROOT / "tests" / "foreign" / "flask_shop"


@pytest.fixture(scope="module", params=["eventlet", "threading"])
def shop(request, tmp_path_factory) -> Iterator[Stack]:
    """``jobcast serve`` in either mode, and a prefork worker."""
    stack = Stack(tmp_path_factory.mktemp(request.param), SOCKETIO_ASYNC_MODE=request.param)
    stack.environment["PYTHONPATH"] = f"{ROOT}:{SHOP}"
    stack.valkey.start()
    try:
        stack.start_web(command=[sys.executable, "-m", "jobcast", "serve", "--port", str(stack.port)])
        stack.start_worker("make_celery:celery_app")
        yield stack
    finally:
        stack.stop()


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_job_is_pushed_and_polled(shop, transport):
    """From the moment it is queued until it has ended."""
    job_id = f"by-{transport}"
    with Watcher(shop.url, transport) as watcher:
        watcher.call("subscribe-job", job_id)
        enqueue = [sys.executable, str(SHOP / "enqueue.py"), job_id]
        subprocess.run(enqueue, env=shop.environment, check=True, timeout=30)
        wait_for(lambda: "completed" in [update["status"] for update in watcher.updates(job_id)])
        assert watcher.updates(job_id)[0]["status"] == "pending"
        assert_no_regression(watcher.updates(job_id))
    polled = shop.get(f"/api/jobs/{job_id}").json()
    assert (polled["status"], polled["progress"]) == ("completed", 100)


def test_no_process_had_to_say_anything_about_it(shop):
    """No traceback in any log."""
    assert "Traceback" not in shop.logs()
