"""The sweeper judges workers, never the store they could not reach."""

from __future__ import annotations

import pytest

from jobcast.errors import LedgerRefused, LedgerUnavailable
from jobcast.ledger import MemoryLedger, Overdue, Snapshot
from jobcast.ledger.outcome import Outcome
from jobcast.ledger.sweeper import SETTLE, Sweeper
from jobcast.models import JobStatusUpdate
from jobcast.topics import Topic, job_topic
from tests.clock import FakeClock

LEASE = 5.0


class Store(MemoryLedger):
    """A memory ledger that can be taken away, altogether or for one topic."""

    away = False
    refused: Topic | None = None

    def read(self, topic: Topic, since: int | None = None, epoch: str | None = None) -> Snapshot:
        if topic == self.refused:
            raise LedgerRefused("WRONGTYPE")
        return super().read(topic, since, epoch)

    def overdue(self, limit: int = 1_000) -> list[Overdue]:
        if self.away:
            raise LedgerUnavailable("away")
        return super().overdue(limit)


class Watch:
    """A sweeper that sweeps twice per lease, a job that has begun, and their clock."""

    def __init__(self, lease: float = LEASE) -> None:
        self.clock = FakeClock()
        self.store = Store(clock=self.clock)
        self.ended: dict[str, Outcome] = {}
        self.lease = lease
        self.sweeper = Sweeper(self.store, lease, self.ended.get, self.clock)
        self.store.append_job(JobStatusUpdate(job_id="j", status="in_progress"), begin=True, lease=lease)

    def pass_time(self, seconds: float, *, renewing: bool = False) -> None:
        for _ in range(round(seconds / (self.lease / 2))):
            self.clock.advance(self.lease / 2)
            if renewing:
                self.store.touch([job_topic("j")], self.lease)
            self.sweeper.sweep()

    def job(self) -> tuple[str, str | None, bool | None]:
        job = self.store.job("j")
        return job.status, job.error, job.stalled


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_a_silent_worker_is_stalled_after_one_period_and_lost_after_three(watch):
    """Nobody renews."""
    watch.pass_time(2 * LEASE)
    assert watch.job() == ("in_progress", None, True)
    watch.pass_time(LEASE)
    assert watch.job() == ("failed", "worker lost", None)
    assert watch.store.overdue() == []


def test_an_outage_of_the_store_is_not_held_against_the_worker(watch):
    """It was away for ten leases; the worker renews within one of its return."""
    watch.pass_time(2 * LEASE, renewing=True)
    watch.store.away = True
    watch.pass_time(10 * LEASE)
    watch.store.away = False
    watch.pass_time(LEASE / 2)
    assert watch.job() == ("in_progress", None, None)
    watch.pass_time(5 * LEASE, renewing=True)
    assert watch.job() == ("in_progress", None, None)


def test_a_worker_that_died_in_the_outage_is_lost_one_period_after_it(watch):
    """The judgement is only put off."""
    watch.pass_time(2 * LEASE, renewing=True)
    watch.store.away = True
    watch.pass_time(10 * LEASE)
    watch.store.away = False
    watch.pass_time(1.5 * LEASE)
    assert watch.job() == ("failed", "worker lost", None)


def test_a_web_process_that_was_frozen_looks_for_a_while_before_it_judges(watch):
    """Perhaps the whole machine was."""
    watch.pass_time(2 * LEASE, renewing=True)
    watch.clock.advance(10 * LEASE)
    watch.sweeper.sweep()
    assert watch.job() == ("in_progress", None, None)


def test_with_short_leases_workers_are_still_given_the_time_to_find_the_store():
    """Their back-off does not shrink with the lease."""
    watch = Watch(lease=0.5)
    watch.pass_time(3, renewing=True)
    watch.store.away = True
    watch.pass_time(5)
    watch.store.away = False
    watch.pass_time(SETTLE)
    assert watch.job() == ("in_progress", None, None)
    watch.pass_time(0.5)
    assert watch.job()[1] == "worker lost"


def test_an_end_that_the_result_backend_knows_is_told_instead(watch):
    """The worker stored its result and died."""
    watch.ended["j"] = Outcome("failed", "boom")
    watch.pass_time(4 * LEASE)
    assert watch.job() == ("failed", "boom", None)


def test_the_end_of_a_lost_job_names_the_request_that_began_it(watch):
    """As its worker would have."""
    begun = JobStatusUpdate(job_id="j", status="in_progress", progress=10)
    watch.store.append_job(begun, meta={"requestId": "req-1"})
    watch.pass_time(4 * LEASE)
    job = watch.store.job("j")
    assert (job.status, job.request_id) == ("failed", "req-1")


def test_a_silent_job_whose_worker_is_back_is_not_stalled_any_more(watch):
    """It was paused for a while, and the task has nothing to report for long."""
    watch.pass_time(LEASE)
    assert watch.job() == ("in_progress", None, None)
    watch.pass_time(LEASE)
    assert watch.job() == ("in_progress", None, True)
    watch.pass_time(LEASE, renewing=True)
    assert watch.job() == ("in_progress", None, None)


def test_a_job_that_cannot_be_read_keeps_no_other_from_being_judged(watch):
    """Somebody else wrote to its key."""
    watch.store.append_job(JobStatusUpdate(job_id="i", status="in_progress"), begin=True, lease=0.1)
    watch.store.refused = job_topic("i")
    watch.pass_time(4 * LEASE)
    assert watch.job() == ("failed", "worker lost", None)
