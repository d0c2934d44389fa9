"""All who end a job say the same of it, whichever process that is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jobcast.celery.request import interrupt
from jobcast.celery.signals import end_elsewhere
from jobcast.errors import QueueUnavailable
from jobcast.ledger import MemoryLedger
from jobcast.ledger.outcome import Outcome
from jobcast.ledger.sweeper import Sweeper
from jobcast.models import JobStatusUpdate
from jobcast.reporter import Reporter
from jobcast.server.job_control import JobControl
from jobcast.topics import job_topic
from tests.clock import FakeClock
from web.publishing import Publishing

LEASE = 5.0
META = {"requestId": "asked-1", "ownerId": "ana", "brandId": "acme"}


class Gone:
    """A queue that takes nothing."""

    def send(self, *_: object) -> None:
        raise QueueUnavailable("away")


def swept(outcome: Outcome | None) -> Callable[[MemoryLedger, FakeClock], None]:
    def end(ledger: MemoryLedger, clock: FakeClock) -> None:
        sweeper = Sweeper(ledger, LEASE, lambda _: outcome, clock)
        for _ in range(8):
            clock.advance(LEASE / 2)
            sweeper.sweep()

    return end


def reported(ledger: MemoryLedger, clock: FakeClock) -> None:
    reporter = Reporter(ledger, clock=clock, threaded=False)
    reporter.start_job("j", retries=1, meta=META)
    reporter.step()
    reporter.end_job("j", "failed", "broken", "ValueError")
    reporter.step()


PRODUCERS: dict[str, Callable[[MemoryLedger, FakeClock], object]] = {
    "its own process": reported,
    "its worker's parent": lambda ledger, _: end_elsewhere(ledger, "j", "failed", "killed"),
    "a worker that stops": lambda ledger, _: interrupt(ledger, "j", comes_again=False),
    "the sweeper": swept(None),
    "the sweeper, by the result": swept(Outcome("completed", None)),
}


@pytest.mark.parametrize("name", PRODUCERS)
def test_an_end_names_the_request_that_began_the_job_and_nothing_of_a_running_one(name):
    clock = FakeClock()
    ledger = MemoryLedger(clock=clock)
    running = JobStatusUpdate(job_id="j", status="in_progress", progress=40, stalled=True, eta_seconds=3)
    ledger.append_job(running, begin=True, lease=LEASE, meta=META)
    PRODUCERS[name](ledger, clock)
    end = ledger.job("j")
    assert end is not None
    assert end.is_terminal
    assert end.request_id == "asked-1"
    assert (end.stalled, end.eta_seconds, end.busy, end.cancel_requested) == (None, None, None, None)


def test_a_job_that_is_cancelled_while_it_waits_or_was_never_queued_ends_like_any_other():
    ledger = MemoryLedger()
    ledger.append_job(JobStatusUpdate(job_id="j", status="pending"), meta=META)
    JobControl(ledger).cancel("j")
    assert ledger.job("j").request_id == "asked-1"
    with pytest.raises(QueueUnavailable):
        Publishing(ledger, Gone()).sync("ana", "acme", "instagram", "")
    (job_id,) = ledger.jobs_of("acme")
    assert (ledger.job(job_id).status, ledger.job(job_id).error) == ("failed", "away")
    assert ledger.meta(job_topic(job_id))["ownerId"] == "ana"
