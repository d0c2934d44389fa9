"""Jobs whose worker went silent: shown as stalled after one missed period, ended after three.

Every web process sweeps; the ledger takes a change only from the one whose view is current, so exactly
one of them acts.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from jobcast.errors import LedgerUnavailable
from jobcast.ledger import Ledger, Overdue
from jobcast.models import JobStatusUpdate, now

logger = logging.getLogger(__name__)

#: Periods without a renewal after which a job is ended.
LOST_AFTER: Final = 3
WORKER_LOST: Final = "worker lost"


class Sweeper:
    """``lease`` is one period, in seconds."""

    def __init__(self, ledger: Ledger, lease: float) -> None:
        self._ledger = ledger
        self._lease = lease

    def sweep(self) -> None:
        """Look at every lease that ran out; when the ledger is away, the next sweep will."""
        try:
            for overdue in self._ledger.overdue():
                self._look_at(overdue)
        except LedgerUnavailable as error:
            logger.warning("sweep is put off: %s", error)

    def _look_at(self, overdue: Overdue) -> None:
        job = self._ledger.job(overdue.topic.id)
        if job is None or job.is_terminal or job.status != "in_progress":
            self._ledger.release(overdue.topic)
        elif overdue.late >= (LOST_AFTER - 1) * self._lease:  # the lease itself was one period long
            self._end(overdue, job)
        elif not job.stalled:
            self._change(job, {"stalled": True})

    def _end(self, overdue: Overdue, job: JobStatusUpdate) -> None:
        logger.warning("job %s: its worker has been silent for %.1f s", job.job_id, overdue.late)
        change = {"status": "failed", "error": WORKER_LOST, "stalled": None, "eta_seconds": None}
        self._change(job, change, lost=True)
        self._ledger.release(overdue.topic)

    def _change(self, job: JobStatusUpdate, change: Mapping[str, object], *, lost: bool = False) -> None:
        self._ledger.append_job(
            job.model_copy(update={**change, "timestamp": now()}),
            mergeable=False,
            expected_sequence=job.sequence,
            lost=lost,
        )
