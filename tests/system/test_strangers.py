"""Tasks as strangers write them, on a real prefork worker: none is harmed, and page and Celery agree."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest
from celery import chain, chord
from celery.exceptions import TaskRevokedError

from jobcast.ledger.sweeper import Sweeper
from jobcast.models import JobStatusUpdate
from jobcast.topics import job_topic
from tests.stack import Stack, wait_for

LEASE_MS = 500


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Valkey and one worker of a stranger's app; no web process."""
    running = Stack(
        tmp_path_factory.mktemp("strangers"),
        SOCKETIO_DEBOUNCE_MS="50",
        JOBCAST_LEASE_MS=str(LEASE_MS),
        JOBCAST_ERROR_DETAIL="all",
    )
    try:
        running.valkey.start()
        running.start_worker("tests.strangers", concurrency=3)
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def strangers(stack: Stack) -> Iterator[ModuleType]:
    """The app's module, as a producer has it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDIS_URL", stack.valkey.url)
        from tests import strangers as module

        yield module
        module.app.close()


class Runner:
    """Starts tasks and looks at their jobs."""

    def __init__(self, stack: Stack) -> None:
        self.ledger = stack.ledger

    def start(self, task: Any, *args: Any, job_id: str = "", **options: Any) -> Any:
        return task.apply_async(args, task_id=job_id or uuid.uuid4().hex, **options)

    def job(self, result: Any) -> JobStatusUpdate | None:
        return self.ledger.job(result.id)

    def events(self, result: Any) -> list[dict[str, Any]]:
        return [event.decoded() for event in self.ledger.history(job_topic(result.id)).events]

    def wait(self, result: Any, *statuses: str) -> JobStatusUpdate:
        wanted = statuses or ("completed", "failed", "cancelled")

        def reached() -> JobStatusUpdate | None:
            job = self.job(result)
            return job if job is not None and job.status in wanted else None

        return wait_for(reached, 20, f"{wanted}; {self.events(result)}")

    def end(self, task: Any, *args: Any, **options: Any) -> JobStatusUpdate:
        return self.wait(self.start(task, *args, **options))


@pytest.fixture
def run(stack: Stack) -> Runner:
    return Runner(stack)


@pytest.fixture
def log(tmp_path: Path) -> Callable[[], list[str]]:
    """What tasks have written down; its path is ``log.path``."""
    path = tmp_path / "log"
    path.touch()

    def lines() -> list[str]:
        return path.read_text().split()

    lines.path = str(path)  # type: ignore[attr-defined]
    return lines


@pytest.mark.parametrize("name", ["mixed_before", "mixed_after", "mixed_plain"])
def test_the_call_of_a_task_is_the_apps_own(run, strangers, name):
    """Its context is entered, whatever the order of the bases, and the job is told all the same."""
    result = run.start(getattr(strangers, name))
    assert result.get(timeout=10) == ["in"]
    last = run.wait(result)
    assert (last.status, last.completed) == ("completed", 3)


def test_a_decimal_counts(run, strangers):
    last = run.end(strangers.numbers)
    assert (last.status, last.progress, last.error, last.error_type) == (
        "failed",
        50,
        "half-way",
        "ValueError",
    )


def test_a_counter_as_details_costs_neither_this_job_nor_the_next(run, strangers):
    """Its keys are numbers."""
    for _ in range(3):
        last = run.end(strangers.crawl)
        assert (last.status, last.details) == ("completed", {"200": 5, "404": 1})


def test_helper_threads_report_to_their_job(run, strangers):
    assert run.end(strangers.helped).completed == 8


def test_a_task_that_calls_itself_as_a_function_has_not_ended(run, strangers):
    """Neither where the inner call returns nor where it raises; and it can still be cancelled."""
    result = run.start(strangers.walk, 1)
    assert run.wait(result).status == "completed"
    assert max(event.get("progress", 0) for event in run.events(result)[:-1]) > 80
    assert run.end(strangers.falls_back).status == "completed"
    stopped = run.start(strangers.walk, 1)
    run.wait(stopped, "in_progress")
    run.ledger.request_cancel(stopped.id)
    assert run.wait(stopped).status == "cancelled"


@pytest.mark.parametrize("name", ["swallows", "retries_all"])
def test_a_cancel_is_no_error_that_a_task_swallows_or_retries(run, strangers, log, name):
    """It cleans up, with reports, and ends; Celery says the same, once."""
    result = run.start(getattr(strangers, name), log.path)
    run.wait(result, "in_progress")
    run.ledger.request_cancel(result.id)
    assert run.wait(result).status == "cancelled"
    with pytest.raises(TaskRevokedError):
        result.get(timeout=10)
    assert log() == ["began", "cleaned"]
    assert "pending" not in [event["status"] for event in run.events(result)[1:]]


def test_a_chord_fails_at_once_when_a_member_is_cancelled(run, strangers):
    """And does not wait for ever for its body."""
    result = chord([strangers.hooked.s(), strangers.total.s([])], strangers.total.s()).apply_async()
    member = result.parent.results[0]
    run.wait(member, "in_progress")
    run.ledger.request_cancel(member.id)
    with pytest.raises(Exception, match=r"cancelled|TaskRevoked"):
        result.get(timeout=10)


def test_a_chain_stops_where_a_step_is_cancelled(run, strangers):
    """Whoever waits for its end is told so."""
    result = chain(strangers.hooked.s(), strangers.total.s()).apply_async()
    run.wait(result.parent, "in_progress")
    run.ledger.request_cancel(result.parent.id)
    with pytest.raises(TaskRevokedError):
        result.get(timeout=10)


def test_a_task_that_ignores_its_cancel_is_ended_after_its_grace(run, strangers):
    """Its option says so; any other is left alone. Until then everybody sees that it was asked to stop."""
    result = run.start(strangers.ignores)
    run.wait(result, "in_progress")
    run.ledger.request_cancel(result.id)
    last = run.wait(result)
    assert (last.status, last.cancel_requested) == ("cancelled", None)
    assert any(event.get("cancelRequested") for event in run.events(result)[:-1])
    with pytest.raises(TaskRevokedError):
        result.get(timeout=10)


def test_a_result_that_cannot_be_written_is_a_failure_here_too(run, strangers):
    result = run.start(strangers.unwritable)
    last = run.wait(result)
    assert (last.status, last.error_type) == ("failed", "EncodeError")
    assert result.state == "FAILURE"
    assert "completed" not in [event["status"] for event in run.events(result)]


@pytest.mark.parametrize(
    ("state", "status", "error"), [("FAILURE", "failed", "no such file"), ("SUCCESS", "completed", None)]
)
def test_a_task_that_sets_its_state_and_gives_up_ends_as_it_said(run, strangers, state, status, error):
    """The well-known recipe of update_state and Ignore."""
    last = run.end(strangers.says, state)
    assert (last.status, last.error) == (status, error)


@pytest.mark.parametrize("body", ["text", {"code": 404}, None])
def test_an_exception_that_is_no_text_stays_the_tasks_own(run, strangers, body):
    result = run.start(strangers.misbehaves, body)
    last = run.wait(result)
    assert (last.status, last.error_type) == ("failed", "ApiError")
    assert last.error in ("text", "{'code': 404}", "ApiError")
    assert type(result.get(timeout=10, propagate=False)).__name__ == "ApiError"


def test_a_retry_of_celerys_own_is_a_retry_here(run, strangers):
    """What autoretry catches is not told as a failure."""
    result = run.start(strangers.retried)
    assert run.wait(result).attempt == 2
    assert [event["status"] for event in run.events(result) if event["status"] == "failed"] == []


@pytest.mark.parametrize("how", ["cancel", "ignore"])
def test_an_id_that_once_ended_cancelled_may_be_used_again(run, strangers, log, how):
    """The second run is new work, and does it."""
    first = run.start(strangers.once, log.path, how)
    if how == "cancel":
        run.wait(first, "in_progress")
        run.ledger.request_cancel(first.id)
    run.wait(first, "cancelled")
    again = run.start(strangers.once, log.path, job_id=first.id)
    wait_for(lambda: log() == [first.id], 10, "the second run")
    assert run.wait(again, "completed").attempt == 2


def test_a_task_that_replaces_itself_goes_on_under_its_id(run, strangers, log):
    """As often as it does; it is never called cancelled."""
    results = [run.start(strangers.replaces, log.path) for _ in range(10)]
    for result in results:
        run.wait(result, "completed")
        assert "cancelled" not in [event["status"] for event in run.events(result)]
    assert sorted(log()) == sorted(result.id for result in results)


def test_every_task_of_a_connected_app_is_a_live_job(run, strangers):
    """Without a base class; and its progress is there anywhere in its call stack."""
    result = run.start(strangers.plain_count, 7)
    last = run.wait(result)
    assert (last.status, last.completed, last.description) == ("completed", 7, "deep down")
    assert last.result == {"url": "/files/1"}
    assert run.events(result)[0]["status"] == "pending"
    failed = run.end(strangers.plain_fails)
    assert (failed.status, failed.attempt, failed.progress, failed.error) == ("failed", 2, 40, "always")


def test_a_connected_task_is_cancelled_like_any_other(run, strangers):
    result = run.start(strangers.plain_cancelled)
    run.wait(result, "in_progress")
    run.ledger.request_cancel(result.id)
    assert run.wait(result).status == "cancelled"
    with pytest.raises(TaskRevokedError):
        result.get(timeout=10)


def test_a_task_that_is_excluded_is_no_job(run, strangers):
    """And its reports go nowhere."""
    result = run.start(strangers.hidden)
    result.get(timeout=10)
    assert run.job(result) is None


def test_a_job_shows_the_stage_in_which_it_failed(run, strangers):
    assert run.end(strangers.stages).progress == 87.5


def swept_until_it_ends(run: Runner, result: Any) -> JobStatusUpdate:
    """What becomes of a job while somebody ends those that are lost."""
    sweeper = Sweeper(run.ledger, LEASE_MS / 1000, lambda job_id: None)

    def swept() -> JobStatusUpdate | None:
        sweeper.sweep()
        job = run.job(result)
        return job if job is not None and job.is_terminal else None

    return wait_for(swept, 15, "the end")


def test_a_job_whose_process_is_busy_in_c_code_is_not_lost(run, strangers):
    """Its parent vouches for it, and says that it is busy, until it reports again."""
    result = run.start(strangers.holds, 3)
    last = swept_until_it_ends(run, result)
    assert (last.status, last.busy) == ("completed", None)
    assert any(event.get("busy") for event in run.events(result))


def test_a_job_that_blocks_the_loop_of_green_threads_is_not_lost(stack, run, strangers):
    """A thread beside the loop says that it is busy."""
    stack.start_worker("tests.strangers", pool="eventlet", queues="green")
    result = run.start(strangers.blocks, 3, queue="green")
    last = swept_until_it_ends(run, result)
    assert last.status == "completed"
    assert any(event.get("busy") for event in run.events(result))


def test_page_and_celery_agree_on_jobs_that_are_cancelled_at_random_moments(stack, run, strangers):
    """A hundred on two workers: cancelled or completed, never both and never neither."""
    stack.start_worker("tests.strangers", concurrency=2)
    random = Random(12)
    results = [run.start(strangers.plain_short, 10, 0.01) for _ in range(100)]
    for result in random.sample(results, len(results)):
        run.ledger.request_cancel(result.id)
        time.sleep(random.uniform(0, 0.03))
    ends = {"cancelled": "REVOKED", "completed": "SUCCESS"}
    for result in results:
        last = run.wait(result)
        wait_for(lambda result=result: result.ready(), 10, "Celery's end")
        assert ends[last.status] == result.state, run.events(result)
        terminal = [event["status"] for event in run.events(result) if event["status"] in ends]
        assert terminal == [last.status]
    assert {run.job(result).status for result in results} == set(ends)
