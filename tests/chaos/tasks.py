"""The worker of the chaos runs: short counting tasks that say in a file of their own when they end.

That file is the truth the deliveries are held against; it does not pass through anything under test.
"""

from __future__ import annotations

import gc
import json
import os
import time
from typing import Any, Final

from celery.signals import task_postrun, worker_process_init

from jobcast import Settings, configure
from jobcast.celery import ProgressTask, make_celery

#: Seconds until the broker hands out again what a killed worker had reserved but not begun.
VISIBILITY_TIMEOUT: Final = 8

settings = Settings.from_environment().require_redis()
app = make_celery(settings)
app.conf.broker_transport_options = {
    **app.conf.broker_transport_options,
    "visibility_timeout": VISIBILITY_TIMEOUT,
    # kombu looks for such messages every hundred seconds otherwise, when nothing else happens.
    "unacked_restore_interval": 1,
    "unacked_restore_throttle": 1,
}
configure(settings)


if "CHAOS_COLLECT" in os.environ:
    # For the soak. A failed task leaves frames in cycles, with or without us; Python looks for those so late
    # that a child grows by a hundred megabytes first. What is left after a collection is what is held.
    worker_process_init.connect(lambda **_: gc.freeze(), weak=False)
    task_postrun.connect(lambda **_: gc.collect(), weak=False)


def note(what: str, job_id: str, status: str = "") -> None:
    """One line in the log of truths; a single small write, so that lines of many processes stay whole."""
    line = json.dumps([what, time.monotonic(), job_id, os.getpid(), status]) + "\n"
    log = os.open(os.environ["CHAOS_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(log, line.encode())
    finally:
        os.close(log)


@app.task(bind=True, base=ProgressTask, name="chaos.count")
def count(self: Any, n: int, pause: float) -> None:
    """Count to ``n``, one per ``pause`` seconds."""
    note("start", self.request.id)
    for _ in self.progress.track(range(n), description="counting"):
        time.sleep(pause)
    note("end", self.request.id, "completed")


@app.task(bind=True, base=ProgressTask, name="chaos.fail")
def fail(self: Any, n: int, pause: float) -> None:
    """Count half of it and fail."""
    note("start", self.request.id)
    for i in self.progress.track(range(n)):
        time.sleep(pause)
        if i >= n // 2:
            note("end", self.request.id, "failed")
            raise ValueError("half way")


@app.task(bind=True, base=ProgressTask, name="chaos.retry", max_retries=1)
def retry(self: Any, n: int, pause: float) -> None:
    """Give up half way, once; then count to the end."""
    note("start", self.request.id)
    for i in self.progress.track(range(n)):
        time.sleep(pause)
        if i >= n // 2 and not self.request.retries:
            raise self.retry(exc=RuntimeError("again"), countdown=0.1)
    note("end", self.request.id, "completed")
