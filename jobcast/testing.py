"""For tests of code that reports: what its jobs have said, with no Redis and no worker.

::

    with record() as jobs:
        resize.apply(args=[pictures])
    assert jobs.only.status == "completed"
    assert jobs.only.steps == [1, 2, 3]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jobcast import broadcaster
from jobcast.broadcaster import Broadcaster
from jobcast.ledger.memory import MemoryLedger
from jobcast.models import JobStatus, JobStatusUpdate
from jobcast.progress import Progress
from jobcast.reporter import Reporter
from jobcast.topics import job_topic


class RecordedJob:
    """One job: ``steps`` are the counts after each report of its task that counted."""

    def __init__(self, job_id: str, look: Callable[[], list[JobStatusUpdate]]) -> None:
        self.job_id = job_id
        self.steps: list[float] = []
        self._look = look

    @property
    def updates(self) -> list[JobStatusUpdate]:
        """Everything that was sent, oldest first; between two ends of a debounce the newest only."""
        return self._look()

    @property
    def last(self) -> JobStatusUpdate:
        """What was sent last."""
        return self.updates[-1]

    @property
    def status(self) -> JobStatus:
        """How it stands."""
        return self.last.status

    @property
    def statuses(self) -> list[JobStatus]:
        """The states it went through, each once in a row."""
        found: list[JobStatus] = []
        for update in self.updates:
            if not found or found[-1] != update.status:
                found.append(update.status)
        return found


class RecordedJobs(Mapping[str, RecordedJob]):
    """The jobs that were reported, by their ids, in the order of their beginning."""

    def __init__(self, ledger: MemoryLedger, flush: Callable[[], Any]) -> None:
        self._ledger = ledger
        self._flush = flush
        self._jobs: dict[str, RecordedJob] = {}
        self._cancel_at: dict[str | None, int] = {}

    def __getitem__(self, job_id: str) -> RecordedJob:
        return self._jobs[job_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._jobs)

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def only(self) -> RecordedJob:
        """The one job that was reported; raises ValueError when there were more, or none."""
        (found,) = self._jobs.values()
        return found

    def cancel(self, *, at: int, job_id: str | None = None) -> None:
        """Have a job, or every one, cancelled at its step ``at``: that report raises JobCancelled."""
        self._cancel_at[job_id] = at

    def begun(self, job_id: str) -> RecordedJob:
        """The record of a job that begins, or begins again."""
        return self._jobs.setdefault(job_id, RecordedJob(job_id, lambda: self._updates(job_id)))

    def is_to_stop(self, job: RecordedJob) -> bool:
        """Whether the job has come to the step at which it is cancelled."""
        at = self._cancel_at.get(job.job_id, self._cancel_at.get(None))
        return at is not None and len(job.steps) >= at

    def _updates(self, job_id: str) -> list[JobStatusUpdate]:
        self._flush()
        events = self._ledger.history(job_topic(job_id)).events
        return [JobStatusUpdate.model_validate_json(event.payload) for event in events]


@contextmanager
def record() -> Iterator[RecordedJobs]:
    """Record what this process reports, instead of sending it; what was recorded stays after the block."""
    ledger = MemoryLedger(history=10_000)
    reporter = Reporter(ledger, interval=0.0)
    jobs = RecordedJobs(ledger, reporter.flush)
    reporter.progress_type = _recording(jobs)
    before = broadcaster.use(Broadcaster(reporter))
    try:
        yield jobs
    finally:
        reporter.flush()
        reporter.close()
        broadcaster.use(before)


def _recording(jobs: RecordedJobs) -> type[Progress]:
    class RecordedProgress(Progress):
        """Looks at every report, where a real one only counts."""

        __slots__ = ("_record", "_seen")

        def __init__(self, job_id: str, wake: Callable[[], None] = lambda: None) -> None:
            super().__init__(job_id, wake)
            self._record = jobs.begun(job_id)
            self._seen: float = 0

        def _attend(self) -> None:
            done = self.facts().completed
            if done != self._seen:
                self._seen = done
                self._record.steps.append(done)
            if jobs.is_to_stop(self._record):
                self.cancel()
            try:
                super()._attend()
            finally:
                self._attention = True

    return RecordedProgress
