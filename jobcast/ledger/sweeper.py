"""Jobs whose worker went silent: shown as stalled after one missed period, ended after three.

Every web process sweeps; the ledger takes a change only from the one whose view is current, so exactly
one of them acts. While the store is away no worker can renew its lease: nobody is judged before the store
has been there for a while.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from pydantic import ValidationError

from jobcast.errors import LedgerRefused, LedgerUnavailable, QueueUnavailable
from jobcast.ledger.ends import end_of
from jobcast.ledger.outcome import Outcome, OutcomeOf
from jobcast.ledger.port import Ledger, Overdue
from jobcast.models import JobStatus, JobStatusUpdate, now
from jobcast.topics import Topic, job_topic

logger = logging.getLogger(__name__)

#: Periods without a renewal after which a job is ended.
LOST_AFTER: Final = 3
#: Seconds a worker may take to find a store that is back: a time-out and its longest pause.
SETTLE: Final = 2.0
WORKER_LOST: Final = "worker lost"


class Sweeper:
    """``lease`` is one period, in seconds; ``outcome`` asks the result backend about a task."""

    def __init__(
        self,
        ledger: Ledger,
        lease: float,
        outcome: OutcomeOf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._lease = lease
        self._outcome = outcome
        self._clock = clock
        self._settle = max(lease, SETTLE)
        #: Since when the store has been seen without a gap, and when it was last.
        self._since: float | None = None
        self._seen = 0.0
        self._stalled: set[Topic] = set()

    def sweep(self) -> None:
        """Look at every lease that ran out; when the ledger is away, the next sweep will."""
        try:
            found = self._ledger.overdue()
            if self._has_settled():
                for overdue in found:
                    self._judge(overdue)
                self._take_back({overdue.topic for overdue in found})
        except LedgerUnavailable as error:
            self._since = None
            logger.warning("sweep is put off: %s", error)
        except QueueUnavailable as error:
            logger.warning("sweep is put off: %s", error)

    def _has_settled(self) -> bool:
        """Whether workers have had the time to renew since the store, or this process, was last away."""
        now = self._clock()
        if self._since is None or now - self._seen > self._settle:
            self._since = now
        self._seen = now
        return now - self._since >= self._settle

    def _judge(self, overdue: Overdue) -> None:
        """One job that cannot be read must not keep the others from being judged."""
        try:
            self._look_at(overdue)
        except (LedgerRefused, ValidationError) as error:
            logger.warning("%s cannot be judged: %s", overdue.topic.room, error)

    def _look_at(self, overdue: Overdue) -> None:
        job = self._ledger.job(overdue.topic.id)
        if job is None or job.is_terminal or job.status != "in_progress":
            self._ledger.release(overdue.topic)
        elif overdue.late >= (LOST_AFTER - 1) * self._lease:  # the lease itself was one period long
            self._end(overdue, job)
        else:
            self._stalled.add(overdue.topic)
            if not job.stalled:
                self._change(job, {"stalled": True})

    def _take_back(self, late: set[Topic]) -> None:
        """Jobs whose worker renewed after all, and may have nothing to report for long."""
        for topic in self._stalled - late:
            job = self._ledger.job(topic.id)
            if job is not None and job.status == "in_progress" and job.stalled:
                self._change(job, {"stalled": None})
        self._stalled &= late

    def _end(self, overdue: Overdue, job: JobStatusUpdate) -> None:
        logger.warning("job %s: its worker has been silent for %.1f s", job.job_id, overdue.late)
        outcome = self._outcome(job.job_id)
        if outcome is None:
            self._append(job, end_of(self._ledger, job, "failed", WORKER_LOST), lost=True)
        else:
            self._append(job, self._repaired(job, outcome))
        self._ledger.release(overdue.topic)

    def _repaired(self, job: JobStatusUpdate, outcome: Outcome) -> JobStatusUpdate:
        """The end that its worker knew but could not tell."""
        if outcome.status != "completed":
            return end_of(self._ledger, job, outcome.status, outcome.error)
        status = self._ledger.meta(job_topic(job.job_id)).get("successStatus", "completed")
        done: dict[str, Any] = {"completed": job.total} if job.total is not None else {}
        return end_of(self._ledger, job, cast(JobStatus, status), progress=100.0, **done)

    def _change(self, job: JobStatusUpdate, change: Mapping[str, object]) -> None:
        self._append(job, job.model_copy(update={**change, "timestamp": now()}))

    def _append(self, seen: JobStatusUpdate, update: JobStatusUpdate, *, lost: bool = False) -> None:
        """Unless somebody else has said something of the job since it was seen."""
        self._ledger.append_job(update, mergeable=False, expected_sequence=seen.sequence, lost=lost)
