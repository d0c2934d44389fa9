"""A web process lets go of jobs that nobody knows, while their followers stay connected."""

from __future__ import annotations

import sys
from pathlib import Path

from jobcast.models import JobStatusUpdate
from tests.stack import Stack, wait_for
from tests.watcher import Watcher
from tests.wire import metric

#: Starts a web process for which a minute is over in a quarter of a second.
START = """
import warnings; warnings.simplefilter("ignore")
import eventlet; eventlet.monkey_patch()
import runpy, time
from jobcast.server import background as loops
from jobcast.server.delivery import subscription_expiry
loops.RETIRE_EVERY /= 240
subscription_expiry.SubscriptionExpiry.__init__.__defaults__ = (lambda: 240 * time.monotonic(),)
warnings.resetwarnings()
runpy.run_module("web", run_name="__main__")
"""


def test_a_job_nobody_knows_is_let_go_of_and_the_others_stay(tmp_path: Path):
    """The connection lives on, and the inbox and the job that is known are still followed."""
    script = tmp_path / "hasty.py"
    script.write_text(START)
    stack = Stack(tmp_path, JOBCAST_RETENTION_SECONDS="60")
    try:
        stack.valkey.start()
        stack.start_web(command=[sys.executable, str(script)])
        stack.ledger.append_job(JobStatusUpdate(job_id="known", status="in_progress"))
        with Watcher(stack.url) as watching:
            for job_id in ("guessed", "known"):
                watching.call("subscribe-job", job_id)
            watching.call("subscribe-user", "ana", "/notifications")
            assert metric(stack, "subscriptions") == 3
            wait_for(lambda: metric(stack, "subscriptions") == 2)
            wait_for(lambda: "1 jobs that are not known any more are not followed any more" in stack.logs())
            stack.ledger.append_job(JobStatusUpdate(job_id="known", status="completed", progress=100))
            watching.wait_for_status("known", "completed")
    finally:
        stack.stop()
