"""The task base class: ``self.progress``, and what a cancelled job raises."""

from __future__ import annotations

import contextlib
from typing import Any

from celery import Task, states
from celery.exceptions import Ignore, Reject, Retry

from jobcast.celery.error_text import error_text
from jobcast.celery.reporting import reporter_of
from jobcast.errors import JobCancelled
from jobcast.models import JobStatus
from jobcast.progress import Progress


class ProgressTask(Task):  # type: ignore[type-arg]  # generic in the stubs only
    """A task whose job is visible from the moment it is queued until it has ended.

    ``success_status`` is what a finished job shows: ``completed``, or ``published`` for publishing.
    """

    abstract = True
    Request = "jobcast.celery.request:InterruptibleRequest"
    success_status: JobStatus = "completed"

    @property
    def progress(self) -> Progress:
        """The progress of the running job; a detached one when the task is called as a function."""
        job_id = self.request.id
        found = reporter_of(self.app).progress(job_id) if job_id else None
        return found or Progress(job_id or self.name)

    def public_error(self, error: BaseException) -> str | None:
        """A text for people about what the task raised; None: the usual one (jobcast.celery.error_text)."""
        return None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            result = self.run(*args, **kwargs)
        except Retry as retry:
            self._tell("pending", error_text(self.app, retry, self))
            raise
        except (Reject, Ignore):
            raise  # told by a signal
        except JobCancelled:
            if not self.request.id:
                raise
            self._end_cancelled(self.request.id)
            raise Ignore from None
        except Exception as error:
            self._tell("failed", error_text(self.app, error, self))
            raise
        self._tell(self.success_status)
        return result

    def _tell(self, status: JobStatus, error: str | None = None) -> None:
        """Tell the end before Celery stores the result, which waits or fails while Redis is away."""
        if self.request.id and not self.request.called_directly:
            reporter_of(self.app).end_job(self.request.id, status, error)

    def _end_cancelled(self, job_id: str) -> None:
        reporter_of(self.app).end_job(job_id, "cancelled")
        # The result backend may be away; the ledger hears of it through the reporter all the same.
        with contextlib.suppress(Exception):
            self.update_state(state=states.REVOKED)
