"""A job in any process: a script, a cron job, a thread, another queue's worker."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from types import TracebackType

from jobcast import plain
from jobcast.broadcaster import default_broadcaster
from jobcast.errors import InvalidSetting, JobCancelled
from jobcast.models import JobStatus
from jobcast.ownership import current_owner
from jobcast.progress import Progress, running_as
from jobcast.reporter import Reporter

logger = logging.getLogger(__name__)


class JobContext:
    """What ``job(…)`` returns; for ``with`` and ``async with``."""

    def __init__(self, job_id: str, meta: dict[str, str], success_status: JobStatus) -> None:
        self._job_id = job_id
        self._meta = meta
        self._success_status = success_status
        self._reporter: Reporter | None = None
        self._running: AbstractContextManager[None] | None = None

    def __enter__(self) -> Progress:
        progress = self._start()
        self._running = running_as(progress)
        self._running.__enter__()
        return progress

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._running is not None:
            self._running.__exit__(kind, error, tb)
        if self._reporter is not None:
            self._reporter.end_job(self._job_id, *self._end(error))

    async def __aenter__(self) -> Progress:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, tb)

    def _start(self) -> Progress:
        """Where nothing can be reported, the work goes on all the same."""
        try:
            self._reporter = default_broadcaster().reporter
        except InvalidSetting as error:
            logger.warning("job %s is not reported: %s", self._job_id, error)
            return Progress(self._job_id)
        return self._reporter.start_job(self._job_id, meta=self._meta)

    def _end(self, error: BaseException | None) -> tuple[JobStatus, str | None, str | None]:
        if error is None or (isinstance(error, SystemExit) and not error.code):
            return self._success_status, None, None
        if isinstance(error, JobCancelled):
            return "cancelled", None, None
        return "failed", plain.error_text(error), type(error).__name__


def job(
    job_id: str,
    *,
    owner: str | None = None,
    brand: str | None = None,
    success_status: JobStatus = "completed",
) -> JobContext:
    """A live job for as long as the block runs: ``with job("import", owner="ana") as progress:``.

    It ends as the block does, and has a lease: if the process is killed, the job is told to be lost. A cancel
    raises JobCancelled in the block and out of it. The same id again is the job's next attempt. What is
    not given of owner and brand is as ``owned_by`` has it.
    """
    given = {"ownerId": owner, "brandId": brand, "successStatus": success_status}
    meta = {name: value for name, value in given.items() if value is not None}
    return JobContext(job_id, current_owner() | meta, success_status)
