"""Stopping a job, whoever asks for it: a route or a namespace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from jobcast.ledger import Ledger
from jobcast.ledger.ends import end_of
from jobcast.models import JobStatusUpdate
from jobcast.server.errors import Conflict, RequestRefused

#: Statuses of a job that no worker has begun.
_WAITING: Final = frozenset({"draft", "pending", "approved"})


class JobControl:
    """``revoke`` has workers skip a task that waits, by its id; it raises QueueUnavailable."""

    def __init__(self, ledger: Ledger, revoke: Callable[[str], None] = lambda _: None) -> None:
        self._ledger = ledger
        self._revoke = revoke

    def cancel(self, job_id: str) -> JobStatusUpdate:
        """Stop a job; one that runs stops at its next report. Raise Conflict when it has ended."""
        known = current(self._ledger, job_id)
        if known.is_terminal:
            raise Conflict("this job has ended")
        self._ledger.request_cancel(job_id)
        if known.status in _WAITING:
            end = end_of(self._ledger, current(self._ledger, job_id), "cancelled", details=None)
            self._ledger.append_job(end, expected=_WAITING)
        self._revoke(job_id)
        return current(self._ledger, job_id)


def current(ledger: Ledger, job_id: str) -> JobStatusUpdate:
    """The state of a job; raise RequestRefused ``not-found``."""
    found = ledger.job(job_id)
    if found is None:
        raise RequestRefused("not-found", "no such job")
    return found
