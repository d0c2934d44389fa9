"""Every end of a Celery task is told, once, and rightly: a real prefork worker, a real subscriber."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid

import pytest

from jobcast.models import JobStatusUpdate
from tests.stack import ROOT, Stack
from tests.watcher import Watcher, assert_no_regression


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory):
    """A stack with a short interval; leases are so long that signals, not the sweeper, tell the ends."""
    folder = tmp_path_factory.mktemp("celery")
    with Stack(folder, SOCKETIO_DEBOUNCE_MS="100", JOBCAST_LEASE_MS="20000") as running:
        yield running


@pytest.fixture(scope="module")
def watcher(quick):
    with Watcher(quick.url) as watching:
        yield watching


@pytest.fixture
def run(quick, watcher, producer):
    """Subscribe, then send a task by name; returns its job id."""

    def send(name: str, *args, job_id: str = "", **options) -> str:
        job_id = job_id or uuid.uuid4().hex
        watcher.call("subscribe-job", job_id)
        producer(quick).send_task(f"tests.{name}", args=args, task_id=job_id, **options)
        return job_id

    return send


def test_success_ends_at_100(run, watcher):
    """completed, with what was counted."""
    job_id = run("count", 5)
    last = watcher.wait_for_status(job_id, "completed")
    assert (last["progress"], last["completed"], last["total"], last["attempt"]) == (100, 5, 5, 1)
    assert_no_regression(watcher.updates(job_id))


def test_failure_keeps_its_progress_and_says_why(run, watcher):
    """A failed job is not at 100 %; a text that may say anything stays in the log."""
    last = watcher.wait_for_status(run("fail"), "failed")
    assert (last["progress"], last["error"]) == (40, "ValueError (the worker's log has more)")


def test_a_text_that_is_meant_for_people_reaches_them(run, watcher):
    """Of a PublicError, of what the task throws, or by its own hook."""
    for which, words in (("public", "no such brand"), ("throws", "'sku'"), ("hook", "try again on Monday")):
        assert watcher.wait_for_status(run("fail_for_people", which), "failed")["error"] == words


def test_a_retry_is_not_an_end_but_a_new_attempt(run, watcher):
    """pending under the next attempt, with the reason; then in progress again; completed in the third."""
    job_id = run("retry")
    last = watcher.wait_for_status(job_id, "completed")
    assert last["attempt"] == 3
    waiting = [u for u in watcher.updates(job_id) if u["status"] == "pending"]
    assert [u["attempt"] for u in waiting] == [2, 3]
    assert all(u["error"].startswith("Retry in 0.2s: RuntimeError (") for u in waiting)
    assert_no_regression(watcher.updates(job_id))


def test_a_killed_child_is_told_by_its_parent(run, watcher):
    """SIGKILL, as by the kernel when memory runs out: failed, with the progress it had."""
    last = watcher.wait_for_status(run("kill", int(signal.SIGKILL)), "failed")
    assert last["progress"] == 40
    assert "SIGKILL" in last["error"]


def test_a_task_that_leaves_the_interpreter_has_failed(run, watcher):
    """SystemExit."""
    assert watcher.wait_for_status(run("exit"), "failed")["progress"] == 40


@pytest.mark.parametrize(
    ("name", "words"), [("soft", "SoftTimeLimitExceeded"), ("hard", "TimeLimitExceeded")]
)
def test_a_time_limit_ends_the_job(run, watcher, name, words):
    """Soft is raised in the task, hard kills the child."""
    assert words in watcher.wait_for_status(run(name), "failed")["error"]


def test_an_ignored_task_does_not_run_for_ever(run, watcher):
    """It gave up by itself."""
    watcher.wait_for_status(run("ignore"), "cancelled")


def test_a_rejected_task_has_failed(run, watcher):
    """Nobody will deliver it again."""
    assert "rejected" in watcher.wait_for_status(run("reject"), "failed")["error"]


def test_a_task_no_worker_knows_has_failed(run, watcher, quick):
    """The worker throws such a message away; its job would wait for ever."""
    job_id = uuid.uuid4().hex
    quick.ledger.append_job(JobStatusUpdate(job_id=job_id, status="pending"))
    run("nobody-has-this", job_id=job_id)
    assert "nobody-has-this" in watcher.wait_for_status(job_id, "failed")["error"]


def test_a_redelivered_task_is_a_new_attempt(run, watcher, tmp_path):
    """acks_late: the first worker died, the second one finishes."""
    job_id = run("redeliver", str(tmp_path / "flag"))
    assert watcher.wait_for_status(job_id, "completed")["attempt"] == 2
    assert_no_regression(watcher.updates(job_id))


def test_revoking_before_the_start_cancels(run, watcher, quick, producer):
    """A message that waits for its time."""
    job_id = run("count", 5, countdown=2)
    producer(quick).control.revoke(job_id)
    watcher.wait_for_status(job_id, "cancelled")


def test_revoking_while_it_runs_cancels(run, watcher, quick, producer):
    """terminate=True kills the child."""
    job_id = run("count", 1_000, 0.02)
    watcher.wait_for_status(job_id, "in_progress")
    producer(quick).control.revoke(job_id, terminate=True)
    watcher.wait_for_status(job_id, "cancelled")


def test_an_expired_message_is_cancelled_and_says_so(run, watcher):
    """Its time had passed before a worker took it."""
    assert "expired" in watcher.wait_for_status(run("count", 5, expires=-1), "cancelled")["error"]


def test_a_task_is_visible_as_soon_as_it_is_queued(quick, watcher):
    """apply_async in a process that knows the task says pending; no worker has seen it yet."""
    job_id = uuid.uuid4().hex
    watcher.call("subscribe-job", job_id)
    code = f"from tests.worker import count; count.apply_async((3,), task_id={job_id!r}, countdown=2)"
    subprocess.run([sys.executable, "-c", code], env=quick.environment, cwd=ROOT, check=True)
    watcher.wait_for_status(job_id, "pending")
    watcher.wait_for_status(job_id, "completed")


def test_a_task_called_as_a_function_needs_no_worker(quick):
    """In somebody's unit test, self.progress reports to nobody."""
    code = "from tests.worker import count; assert count(3) == 3"
    subprocess.run([sys.executable, "-c", code], env=quick.environment, cwd=ROOT, check=True)


def test_a_cancel_from_the_page_stops_a_running_task(run, watcher):
    """The request travels with the answer to a report."""
    job_id = run("count", 2_000, 0.01)
    watcher.wait_for_status(job_id, "in_progress")
    assert watcher.call("cancel-job", job_id)["ok"]
    last = watcher.wait_for_status(job_id, "cancelled", timeout=5)
    assert 0 < last["progress"] < 90


def test_a_job_whose_whole_worker_died_is_stalled_and_then_lost(tmp_path, producer):
    """No signal fires when a machine goes; the lease runs out."""
    with (
        Stack(tmp_path, SOCKETIO_DEBOUNCE_MS="100", JOBCAST_LEASE_MS="500") as stack,
        Watcher(stack.url) as watching,
    ):
        watching.call("subscribe-job", "doomed")
        producer(stack).send_task("tests.count", args=(1_000, 0.05), task_id="doomed")
        watching.wait_for_status("doomed", "in_progress")
        parent = stack.processes[-1]
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(parent.pid)], capture_output=True, text=True, check=True
        )
        for pid in [parent.pid, *map(int, children.stdout.split())]:
            os.kill(pid, signal.SIGKILL)
        last = watching.wait_for_status("doomed", "failed", timeout=10)
        assert last["error"] == "worker lost"
        assert any(update.get("stalled") for update in watching.updates("doomed"))
        assert_no_regression(watching.updates("doomed"))
