"""The worker of the tests: the deployment's own tasks, and some that behave badly on purpose."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from celery.exceptions import Ignore, Reject

from jobcast import PublicError, Settings, configure
from jobcast.broadcaster import default_broadcaster
from jobcast.celery import ProgressTask, make_celery

settings = Settings.from_environment().require_redis()
app = make_celery(settings)
app.conf.imports = ("tasks.publishing", "tasks.analytics_sync")
if "TEST_VISIBILITY" in os.environ:
    app.conf.broker_transport_options |= {
        "visibility_timeout": float(os.environ["TEST_VISIBILITY"]),
        "unacked_restore_interval": 1,
    }
if "TEST_SOFT_SHUTDOWN" in os.environ:
    app.conf.worker_soft_shutdown_timeout = float(os.environ["TEST_SOFT_SHUTDOWN"])
configure(settings)


@app.task(bind=True, base=ProgressTask, name="tests.count")
def count(self: Any, n: int, pause: float = 0.0) -> int:
    """Count to ``n``, one item per ``pause`` seconds."""
    for _ in self.progress.track(range(n), description="counting"):
        if pause:
            time.sleep(pause)
    return n


def _noted(self: Any, log: str, seconds: float) -> None:
    with open(log, "a") as file:
        file.write(f"{self.request.id}\n")
    for _ in self.progress.track(range(20)):
        time.sleep(seconds / 20)


@app.task(bind=True, base=ProgressTask, name="tests.early")
def early(self: Any, log: str, seconds: float) -> None:
    """Write down that it began; acknowledged as soon as it has."""
    _noted(self, log, seconds)


@app.task(bind=True, base=ProgressTask, name="tests.late", acks_late=True, reject_on_worker_lost=True)
def late(self: Any, log: str, seconds: float) -> None:
    """Write down that it began; acknowledged when it has ended."""
    _noted(self, log, seconds)


@app.task(bind=True, base=ProgressTask, name="tests.burst")
def burst(self: Any, reports: int, seconds: float) -> float:
    """Report ``reports`` times in about ``seconds``; return how long it really took."""
    started = time.perf_counter()
    self.progress.update(total=reports)
    for n in range(reports):
        self.progress.advance()
        while n % 100 == 0 and time.perf_counter() - started < seconds * n / reports:
            time.sleep(0.0005)
    return time.perf_counter() - started


@app.task(name="tests.left", ignore_result=False)
def left() -> list[int]:
    """What this child's reporter still remembers: jobs, what is to be delivered, keys of its rate cap."""
    reporter = default_broadcaster().reporter
    reporter.flush()
    return [len(reporter._state.jobs), len(reporter._state.outbox), len(reporter._debouncer)]


@app.task(bind=True, base=ProgressTask, name="tests.fail")
def fail(self: Any) -> None:
    """Get to 40 % and fail."""
    self.progress.update(total=10, completed=4)
    raise ValueError("boom")


class PatientTask(ProgressTask):
    """Tells people what to do about an error of somebody else's."""

    abstract = True

    def public_error(self, error: BaseException) -> str | None:
        return "try again on Monday" if isinstance(error, OSError) else None


@app.task(bind=True, base=PatientTask, name="tests.fail_for_people", throws=(KeyError,))
def fail_for_people(self: Any, which: str) -> None:
    """Fail with a text that may be shown."""
    errors = {"public": PublicError("no such brand"), "throws": KeyError("sku"), "hook": OSError("10.0.0.7")}
    raise errors[which]


@app.task(bind=True, base=ProgressTask, name="tests.retry", max_retries=2)
def retry(self: Any) -> int:
    """Fail twice, then succeed."""
    attempts = self.request.retries
    for n in self.progress.track(range(4)):
        if n == 2 and attempts < 2:
            raise self.retry(exc=RuntimeError("not yet"), countdown=0.2)
    return attempts


@app.task(bind=True, base=ProgressTask, name="tests.retry_late", max_retries=1)
def retry_late(self: Any, seconds: float) -> None:
    """Fail once, after a while, and succeed later."""
    self.progress.update(total=2, completed=1)
    if not self.request.retries:
        time.sleep(seconds)
        raise self.retry(exc=RuntimeError("not yet"), countdown=3)


@app.task(bind=True, base=ProgressTask, name="tests.kill")
def kill(self: Any, sig: int = signal.SIGKILL) -> None:
    """Get to 40 % and die."""
    self.progress.update(total=10, completed=4)
    time.sleep(0.4)
    os.kill(os.getpid(), sig)
    time.sleep(10)


@app.task(bind=True, base=ProgressTask, name="tests.exit")
def leave(self: Any) -> None:
    """Get to 40 % and leave the interpreter."""
    self.progress.update(total=10, completed=4)
    time.sleep(0.4)
    raise SystemExit(3)


@app.task(bind=True, base=ProgressTask, name="tests.soft", soft_time_limit=1)
def soft(self: Any) -> None:
    """Run into the soft time limit."""
    for _ in self.progress.track(range(1_000)):
        time.sleep(0.05)


@app.task(bind=True, base=ProgressTask, name="tests.hard", time_limit=1)
def hard(self: Any) -> None:
    """Run into the hard time limit."""
    for _ in self.progress.track(range(1_000)):
        time.sleep(0.05)


@app.task(bind=True, base=ProgressTask, name="tests.ignore")
def ignore(self: Any) -> None:
    """Give up silently."""
    self.progress.advance()
    raise Ignore


@app.task(bind=True, base=ProgressTask, name="tests.reject", acks_late=True)
def reject(self: Any) -> None:
    """Refuse the message for good."""
    self.progress.advance()
    raise Reject("no", requeue=False)


@app.task(bind=True, base=ProgressTask, name="tests.redeliver", acks_late=True, reject_on_worker_lost=True)
def redeliver(self: Any, flag: str) -> str:
    """Die the first time, and succeed when delivered again."""
    self.progress.update(total=2, completed=1)
    if not os.path.exists(flag):
        open(flag, "w").close()
        time.sleep(0.4)
        os.kill(os.getpid(), signal.SIGKILL)
    return "second time"
