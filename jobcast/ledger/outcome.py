"""How a job ended by the word of whoever ran it, for jobs whose own process cannot tell any more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from jobcast.models import JobStatus


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended; ``completed`` stands for whatever success is called for its job."""

    status: JobStatus
    error: str | None


#: The outcome of a task by its id; None while nothing is known. Raises QueueUnavailable.
OutcomeOf = Callable[[str], Outcome | None]


class Tasks(Protocol):
    """A task queue as a server needs it: ``jobcast.celery.TaskQueue``, or another one's."""

    def outcome(self, task_id: str) -> Outcome | None:
        """How a task ended, None while that is not known; raises QueueUnavailable."""

    def revoke(self, task_id: str) -> None:
        """Have workers skip a task that waits; raises QueueUnavailable."""


class NoTasks:
    """A server beside a queue it does not know."""

    def outcome(self, task_id: str) -> Outcome | None:
        return None

    def revoke(self, task_id: str) -> None:
        """Nobody to tell; the job's own process hears of it from the ledger."""
