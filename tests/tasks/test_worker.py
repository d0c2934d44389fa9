"""The deployment's own worker: a real Valkey, real prefork children, the examples as input."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tasks.storage import Storage
from tests.stack import ROOT, Stack, wait_for
from tests.tasks.conftest import analytics_of, notifications_of

OWNER = {"brand_id": "acme", "user_id": "ana"}
PUBLISH, DRAFT, SYNC = "tasks.publishing.publish", "tasks.publishing.draft", "tasks.analytics_sync.sync"


class Deployment:
    """A store and the deployment's worker, without a web process."""

    def __init__(self, stack: Stack, celery) -> None:
        self.stack = stack
        self.ledger = stack.ledger
        self.storage = Storage(stack.environment["DATABASE_URL"])
        self._celery = celery

    def send(self, name: str, **arguments) -> str:
        job_id = uuid.uuid4().hex
        self._celery.send_task(name, task_id=job_id, kwargs=OWNER | arguments)
        return job_id

    def status(self, job_id: str) -> str | None:
        job = self.ledger.job(job_id)
        return job.status if job else None

    def ended(self, job_id: str, timeout: float = 40):
        """The job's state, once it has ended."""

        def read():
            job = self.ledger.job(job_id)
            return job if job and job.is_terminal else None

        return wait_for(read, timeout, f"{job_id} to end")

    def told(self, user_id: str, kind: str):
        """The user's notification of this kind, once it is there."""

        def read():
            return [n for n in notifications_of(self.ledger, user_id) if n.type == kind]

        return wait_for(read, what=kind)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory, producer):
    """Two children on an empty database, reporting often."""
    stack = Stack(tmp_path_factory.mktemp("worker"), SOCKETIO_DEBOUNCE_MS="20", JOBCAST_HISTORY_EVENTS="1000")
    try:
        stack.valkey.start()
        stack.start_worker("worker.app")
        yield Deployment(stack, producer(stack))
    finally:
        stack.stop()


def example(name: str) -> str:
    with (ROOT / "examples" / name).open(encoding="utf-8", newline="") as file:
        return file.read()


def test_two_jobs_on_an_empty_database_both_publish(deployment):
    """Two children make the schema at the same time."""
    posts = [{"content": f"post {number}"} for number in range(20)]
    jobs = [deployment.send(PUBLISH, posts=posts) for _ in range(2)]
    assert [deployment.ended(job_id).status for job_id in jobs] == ["published"] * 2


def test_the_example_calendar_is_published_with_its_pictures(deployment):
    """Every delivery in the database, every picture in the media root, the platform changing on the way."""
    job_id = deployment.send(PUBLISH, calendar_csv=example("content_calendar.csv"))
    job = deployment.ended(job_id)
    assert (job.status, job.progress, job.error) == ("published", 100, None)
    assert (job.completed, job.total, job.details["posts"]) == (132, 132, 72)
    assert sum(part["published"] for part in job.details["platforms"].values()) == 132
    deliveries = deployment.storage.deliveries(job_id)
    assert {delivery.status for delivery in deliveries} == {"published"}
    root = Path(deployment.stack.environment["JOBCAST_MEDIA_ROOT"])
    for delivery in deliveries:
        kept = deployment.storage.media_of(delivery.external_id)
        assert [row.name for row in kept] == delivery.post.media
        assert all((root / row.path).stat().st_size == row.size for row in kept)
    assert any(n.action_url == f"/?job={job_id}" for n in deployment.told("ana", "job-completed"))


def test_the_bar_moves_while_posts_go_out(deployment):
    """A subscriber sees more than a beginning and an end, and more than one platform."""
    job_id = deployment.send(PUBLISH, calendar_csv=example("content_calendar.csv"))
    seen: set[tuple[object, object]] = set()

    def ended():
        job = deployment.ledger.job(job_id)
        if job:
            seen.add((job.progress, job.current_platform))
        return job and job.is_terminal

    wait_for(ended, 40, "the job to end")
    assert len({progress for progress, _ in seen}) >= 4
    assert len({platform for _, platform in seen if platform}) >= 2


def test_a_draft_is_published_after_its_approval(deployment):
    """By a job that brings nothing but its id."""
    job_id = uuid.uuid4().hex
    deployment.send(DRAFT, job_id=job_id, calendar_csv="Text,Instagram\r\none,TRUE\r\n")
    wait_for(lambda: deployment.status(job_id) == "pending", what="a pending job")
    assert deployment.told("ana", "approval-needed")[-1].action_url == f"/?job={job_id}"
    deployment._celery.send_task(PUBLISH, task_id=job_id, kwargs=OWNER)
    assert deployment.ended(job_id).details["platforms"] == {"instagram": {"published": 1, "failed": 0}}


def test_the_example_export_is_synced_in_seconds(deployment):
    """With an event per stretch of work, and true numbers in all of them."""
    job_id = deployment.send(SYNC, platform="instagram", csv_text=example("metrics_export.csv"))
    job = deployment.ended(job_id, 20)
    assert (job.status, job.completed, job.total) == ("completed", 20_385, 20_385)
    wait_for(lambda: analytics_of(deployment.ledger, "acme")[-1].event_type.endswith("completed"))
    events = [e for e in analytics_of(deployment.ledger, "acme") if e.sync_id == job_id]
    assert events[0].event_type == "analytics:sync-started"
    moving = [e.data for e in events if e.event_type == "analytics:sync-progress"]
    assert len(moving) >= 4
    assert all(
        data.progress == pytest.approx(100 * data.records_processed / 20_385, abs=0.01) for data in moving
    )
    assert deployment.told("ana", "sync-complete")


def test_a_job_whose_child_was_killed_goes_on_where_it_was(deployment):
    """The message comes back, and nothing that is out is sent again."""
    job_id = deployment.send(PUBLISH, posts=[{"content": f"post {number}"} for number in range(400)])
    wait_for(lambda: published(deployment, job_id) > 20, what="a job on its way")
    os.kill(child_of(deployment, job_id), signal.SIGKILL)
    assert published(deployment, job_id) < 400
    job = deployment.ended(job_id)
    assert (job.status, job.attempt, job.completed) == ("published", 2, 400)
    attempts = sorted(delivery.attempts for delivery in deployment.storage.deliveries(job_id))
    assert attempts[:-1] == [1] * 399
    assert attempts[-1] <= 2, "only what was under way is tried again"


def published(deployment, job_id: str) -> int:
    return sum(delivery.status == "published" for delivery in deployment.storage.deliveries(job_id))


def child_of(deployment, job_id: str) -> int:
    """The process id of the child that runs the job."""
    active = deployment._celery.control.inspect(timeout=5, limit=1).active() or {}
    return next(task["worker_pid"] for tasks in active.values() for task in tasks if task["id"] == job_id)


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({"REDIS_URL": "redis://127.0.0.1:port/0"}, "REDIS_URL: the port has to be a number"),
        ({"CELERY_BROKER_URL": "pigeon://loft"}, "CELERY_BROKER_URL: No such transport: pigeon"),
        ({"DATABASE_URL": "mysql://u:geheim@h/db"}, "DATABASE_URL: has to start with"),
    ],
)
def test_a_bad_setting_ends_the_worker_with_one_line(environment, line):
    """It names the variable; the exit code is 1."""
    command = [sys.executable, "-m", "celery", "-A", "worker.app", "worker", "--concurrency", "1"]
    given = {**os.environ, "REDIS_URL": "redis://127.0.0.1:1/0", "PYTHONPATH": str(ROOT)} | environment
    ended = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 1
    assert ended.stderr.startswith(line)
    assert ended.stderr.count("\n") == 1
    assert "geheim" not in ended.stderr
    assert ended.stdout == ""


def test_the_work_imports_neither_the_web_process_nor_its_libraries():
    """A worker needs none of them."""
    script = (
        "import sys, tasks.publishing, tasks.analytics_sync, worker.app;"
        "print([n for n in ('web', 'flask', 'flask_socketio', 'eventlet') if n in sys.modules])"
    )
    environment = {**os.environ, "REDIS_URL": "redis://127.0.0.1:1/0"}
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30
    )
    assert ended.stdout == "[]\n", ended.stderr
