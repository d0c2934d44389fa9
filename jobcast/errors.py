"""What can go wrong, as types. One root, leaves named for the event."""

from __future__ import annotations


class JobcastError(Exception):
    """Root of every error raised by Jobcast."""


class PublicError(JobcastError):
    """Raised by a task with a text that is meant for people: browsers and inboxes get it as it is.

    Derive from it, or name the classes in the task's ``throws``. Of every other exception they get the type
    alone, and the log has the rest.
    """


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
    """Raised when the ledger's store did not answer in time, or does not do its work for now.

    ``reason`` says so to people, without names of hosts or users: "the store is read-only".
    """

    code = "unavailable"

    def __init__(self, message: str, reason: str = "the store is not reachable right now") -> None:
        super().__init__(message, reason)
        self.message = message
        self.reason = reason

    def __str__(self) -> str:
        return self.message


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
