"""What can go wrong, as types. One root, leaves named for the event."""

from __future__ import annotations


class JobcastError(Exception):
    """Root of every error raised by Jobcast."""


class InvalidSetting(JobcastError):
    """Raised when an environment variable cannot be read; the message is one line that names it."""

    def __init__(self, variable: str, reason: str) -> None:
        super().__init__(f"{variable}: {reason}")
        self.variable = variable
        self.reason = reason

    def __reduce__(self) -> tuple[type[InvalidSetting], tuple[str, str]]:
        return type(self), (self.variable, self.reason)


class InvalidPayload(JobcastError):
    """Raised when an id or a payload does not have the shape the contract asks for."""

    code = "invalid-payload"


class LedgerUnavailable(JobcastError):
    """Raised when the ledger's store did not answer in time or refused the connection."""

    code = "unavailable"


class QueueUnavailable(JobcastError):
    """Raised when the task queue or its result backend did not answer."""

    code = "unavailable"


class LedgerRefused(JobcastError):
    """Raised when the ledger's store answered that it will never take this event."""


class JobCancelled(BaseException):
    """Raised once inside a task, from one of its reports, when somebody asked for its job to stop.

    It is no error, and no ``Exception``: what a task catches around an item must not swallow it.
    """

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id} was cancelled")
        self.job_id = job_id

    def __reduce__(self) -> tuple[type[JobCancelled], tuple[str]]:
        return type(self), (self.job_id,)
