"""The last update of an attempt, for all who tell it for a process that cannot."""

from __future__ import annotations

from typing import Any

from jobcast.ledger.port import Ledger
from jobcast.models import JobStatus, JobStatusUpdate, now
from jobcast.topics import job_topic


def end_of(
    ledger: Ledger,
    known: JobStatusUpdate,
    status: JobStatus,
    error: str | None = None,
    error_type: str | None = None,
    **more: Any,
) -> JobStatusUpdate:
    """How a job ended of which ``known`` was heard last: it keeps the progress it had.

    With the request that began it, as every change of status has; what is said of running jobs only is left
    out by the ledger. ``more``: further fields that change. Raises LedgerUnavailable.
    """
    change = {
        "status": status,
        "error": error,
        "error_type": error_type,
        "timestamp": now(),
        "request_id": ledger.meta(job_topic(known.job_id)).get("requestId"),
        **more,
    }
    return known.model_copy(update=change)
