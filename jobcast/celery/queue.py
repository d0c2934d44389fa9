"""A Celery app as a server needs it: enqueue by name, ask how a task ended, revoke one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from celery import Celery, states
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from jobcast.errors import QueueUnavailable
from jobcast.ledger.outcome import Outcome
from jobcast.models import JobStatus

_STATUS_OF: Final[dict[str, JobStatus]] = {
    states.SUCCESS: "completed",
    states.FAILURE: "failed",
    states.REVOKED: "cancelled",
}


class TaskQueue:
    """Hands tasks to the broker, once, without waiting for a broker that is away."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery

    def send(self, task: str, task_id: str, kwargs: Mapping[str, Any], meta: Mapping[str, str]) -> None:
        """Enqueue; raise QueueUnavailable when the broker does not take it."""
        try:
            self._celery.send_task(
                task,
                task_id=task_id,
                kwargs=dict(kwargs),
                headers={"jobcast": dict(meta)},
                compression="zlib",  # uploads travel in the message: worker and web share no disk
                retry=False,
            )
        except (OperationalError, RedisError, OSError) as error:
            raise QueueUnavailable("the task queue is not reachable") from error

    def outcome(self, task_id: str) -> Outcome | None:
        """How a task ended by its result backend, None while that says nothing; raise QueueUnavailable."""
        try:
            result = self._celery.AsyncResult(task_id)
            state = result.state
            error = str(result.result) if state == states.FAILURE else None
        except (OperationalError, RedisError, OSError) as failure:
            raise QueueUnavailable("the result backend is not reachable") from failure
        status = _STATUS_OF.get(state)
        return Outcome(status, error) if status else None

    def revoke(self, task_id: str) -> None:
        """Have workers skip a task that waits; raise QueueUnavailable."""
        try:
            self._celery.control.revoke(task_id)
        except (OperationalError, RedisError, OSError) as error:
            raise QueueUnavailable("the task queue is not reachable") from error
