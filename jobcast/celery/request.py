"""A running task as its worker's parent sees it: told when the worker stops before the task has ended.

In a cold shutdown Celery kills what still runs when its time is over. A task that is acknowledged late comes
again; any other is gone, although Celery marks it as to be retried. No signal says so of the former.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any, Final

from celery.worker.request import Request

from jobcast.celery.reporting import reporter_of
from jobcast.errors import InvalidPayload
from jobcast.job import Event
from jobcast.ledger import Appended, Ledger
from jobcast.ledger.ends import end_of
from jobcast.models import JobStatus
from jobcast.topics import job_topic

INTERRUPTED: Final = "interrupted: its worker was stopped"
_RUNNING: Final = frozenset({"in_progress"})


class InterruptibleRequest(Request):
    """Used for every ProgressTask."""

    def cancel(self, pool: Any, signal: Any = None, emit_retry: bool = True) -> None:
        """Kill the task, and tell what becomes of its job."""
        was_running = bool(self.time_start)
        super().cancel(pool, signal, emit_retry)
        if was_running:
            comes_again = self.task.acks_late and not self.acknowledged
            tell = partial(interrupt, job_id=self.id, comes_again=comes_again)
            # The worker is stopping: what could never be a job must not keep it from telling of the others.
            with contextlib.suppress(InvalidPayload):
                reporter_of(self.task.app).post(Event(job_topic(self.id), tell))


def interrupt(ledger: Ledger, job_id: str, *, comes_again: bool) -> Appended | None:
    """Say that a running job waits to be run again, as its next attempt, or else that it has failed."""
    known = ledger.job(job_id)
    if known is None:
        return None
    status: JobStatus = "pending" if comes_again else "failed"
    more: dict[str, Any] = {}
    if comes_again:  # reports that the killed process still had on their way are of an attempt that is over
        more = {"attempt": (known.attempt or 1) + 1, "progress": None, "completed": None}
    appended = ledger.append_job(end_of(ledger, known, status, INTERRUPTED, **more), expected=_RUNNING)
    ledger.release(job_topic(job_id))
    return appended
