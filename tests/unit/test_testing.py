"""Jobs in scripts, and what tests can see of jobs, without Redis."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import Retry

import jobcast
from jobcast import JobCancelled, broadcaster, job
from jobcast.celery import ProgressTask, connect
from jobcast.testing import RecordedJobs, record

pytest_plugins = ["jobcast.pytest_plugin"]


@pytest.fixture(scope="module")
def app() -> Iterator[Celery]:
    made = Celery("tests", broker="memory://", backend="cache+memory://", set_as_current=False)
    connect(made, exclude=["hidden"])
    yield made
    made.close()


@pytest.fixture(scope="module")
def resize(app: Celery) -> Any:
    @app.task(bind=True, base=ProgressTask, name="resize")
    def resize(self: Any, pictures: list[int]) -> int:
        for _ in self.progress.track(pictures, description="Resizing"):
            pass
        return len(pictures)

    return resize


def test_a_task_that_runs_eagerly_is_recorded(resize):
    """States and steps, with no Redis anywhere."""
    with record() as jobs:
        assert resize.apply(args=[[1, 2, 3]], task_id="j").get() == 3
    assert (jobs["j"].statuses, jobs["j"].steps) == (["in_progress", "completed"], [1, 2, 3])
    assert jobs.only.last.description == "Resizing"


def test_a_task_is_cancelled_at_a_step(resize, recorded_jobs: RecordedJobs):
    """As from the page, at a moment that a test can choose."""
    recorded_jobs.cancel(at=2)
    assert resize.apply(args=[[1, 2, 3]]).state == "IGNORED"
    assert (recorded_jobs.only.status, recorded_jobs.only.steps) == ("cancelled", [1, 2])


def test_an_eager_task_that_propagates_its_error_has_failed(app, recorded_jobs):
    """No signal tells of it."""

    @app.task(name="boom")
    def boom() -> None:
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        boom.apply(throw=True)
    assert (recorded_jobs.only.last.status, recorded_jobs.only.last.error_type) == ("failed", "ValueError")


def test_an_eager_retry_ends_as_its_last_run(app, recorded_jobs):
    @app.task(bind=True, name="flaky", max_retries=3)
    def flaky(self: Any) -> str:
        for n in jobcast.track(range(4)):
            if n == 2 and self.request.retries < 2:
                raise self.retry(exc=RuntimeError("not yet"), countdown=0)
        return "ok"

    flaky.apply()
    assert recorded_jobs.only.status == "completed"


def test_a_task_that_came_after_the_app_was_finalized_is_a_live_job_too(app, recorded_jobs):
    """Reported from its first run on, in any case; stoppable once it is wrapped."""
    app.finalize()

    @app.task(name="late")
    def late() -> None:
        list(jobcast.track(range(2)))

    late.apply(task_id="first")
    recorded_jobs.cancel(at=1, job_id="second")
    late.apply(task_id="second")
    assert [(job.status, job.steps) for job in recorded_jobs.values()] == [
        ("completed", [1, 2]),
        ("cancelled", [1]),
    ]
    assert jobcast.current().job_id == ""


def test_a_hook_that_reports_is_not_stopped(app, recorded_jobs):
    """Around the body there is nothing to stop, and Celery would take it for the end of the process."""

    class Hooked(ProgressTask):
        abstract = True

        def before_start(self, *_: Any) -> None:
            self.progress.advance()

        def after_return(self, *_: Any) -> None:
            self.progress.advance()

    @app.task(bind=True, base=Hooked, name="hooked")
    def hooked(self: Any, reports: bool) -> None:
        if reports:
            self.progress.advance()

    recorded_jobs.cancel(at=1)
    assert hooked.apply(args=[True], task_id="body").state == "IGNORED"
    assert hooked.apply(args=[False], task_id="none").state == "SUCCESS"
    assert [job.status for job in recorded_jobs.values()] == ["cancelled", "completed"]


def test_a_helper_thread_finds_its_job_where_there_is_one_and_says_so_where_there_are_two(
    app, recorded_jobs, caplog
):
    """Celery's request is the thread's own; whose helper a thread is, nobody can tell of two."""
    both = threading.Barrier(2)

    @app.task(bind=True, base=ProgressTask, name="helped")
    def helped(self: Any, alone: bool) -> None:
        if not alone:
            both.wait(5)
        helper = threading.Thread(target=lambda: self.progress.advance())
        helper.start()
        helper.join()
        if not alone:
            both.wait(5)

    helped.apply(args=[True], task_id="alone")
    assert recorded_jobs["alone"].last.completed == 1
    assert not caplog.text
    runs = [threading.Thread(target=helped.apply, args=[[False]], kwargs={"task_id": n}) for n in "ab"]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [recorded_jobs[n].last.completed for n in "ab"] == [None, None]
    assert "reports to nobody: 2 jobs of it run" in caplog.text


def test_a_task_that_is_excluded_is_no_job(app, recorded_jobs):
    @app.task(name="hidden")
    def hidden() -> None:
        jobcast.current().advance()

    hidden.apply()
    assert not recorded_jobs


def test_a_block_is_a_job(recorded_jobs):
    """For scripts, cron, threads and other queues; current() finds it."""
    with job("import", owner="ana", brand="acme") as progress:
        for _ in jobcast.track("abc"):
            pass
        progress.result(url="/files/1")
    assert recorded_jobs["import"].statuses == ["in_progress", "completed"]
    assert recorded_jobs["import"].last.result == {"url": "/files/1"}
    assert jobcast.current().job_id == ""


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (ValueError("boom"), "failed", "ValueError"),
        (KeyboardInterrupt(), "failed", "KeyboardInterrupt"),
        (SystemExit(2), "failed", "SystemExit"),
        (SystemExit(0), "completed", None),
        (Retry(), "failed", "Retry"),
    ],
)
def test_a_block_ends_as_it_is_left(recorded_jobs, error, status, kind):
    with pytest.raises(type(error)), job("import"):
        raise error
    assert (recorded_jobs.only.status, recorded_jobs.only.last.error_type) == (status, kind)


def test_a_block_is_cancelled_out_of_it(recorded_jobs):
    recorded_jobs.cancel(at=1)
    with pytest.raises(JobCancelled), job("import") as progress:
        list(progress.track(range(3)))
    assert recorded_jobs.only.status == "cancelled"


def test_a_block_in_a_coroutine_is_a_job_of_its_own(recorded_jobs):
    """Two at once do not see each other's."""

    async def work(job_id: str) -> None:
        async with job(job_id):
            for _ in range(3):
                jobcast.current().advance()
                await asyncio.sleep(0)

    async def both() -> None:
        await asyncio.gather(work("a"), work("b"))

    asyncio.run(both())
    assert {name: recorded.last.completed for name, recorded in recorded_jobs.items()} == {"a": 3, "b": 3}


def test_a_block_that_cannot_be_reported_runs_all_the_same(monkeypatch, caplog):
    """No Redis is set."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    before = broadcaster.use(None)
    try:
        with job("import") as progress:
            progress.advance()
    finally:
        broadcaster.use(before)
    assert "job import is not reported" in caplog.text
