"""A Celery app as a server needs it: enqueue by name, ask how a task ended, revoke one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from celery import Celery, states
from kombu.exceptions import OperationalError
from kombu.transport.redis import Channel
from redis.exceptions import ReadOnlyError, RedisError

from jobcast.celery.error_text import error_text
from jobcast.errors import QueueUnavailable
from jobcast.ledger.outcome import Outcome
from jobcast.models import JobStatus

_STATUS_OF: Final[dict[str, JobStatus]] = {
    states.SUCCESS: "completed",
    states.FAILURE: "failed",
    states.REVOKED: "cancelled",
}


logger = logging.getLogger(__name__)

_AWAY: Final = (OperationalError, RedisError, OSError)


class _NotTaken(Exception):
    """Raised when a message has surely not reached the queue."""


class TaskQueue:
    """Hands tasks to the broker, once, without waiting for a broker that is away."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery

    def send(self, task: str, task_id: str, kwargs: Mapping[str, Any], meta: Mapping[str, str]) -> None:
        """Enqueue; raise QueueUnavailable when the broker does not take it.

        What was surely not taken is sent once more, on a fresh connection.
        """
        message = {
            "name": task,
            "task_id": task_id,
            "kwargs": dict(kwargs),
            "headers": {"jobcast": dict(meta)},
            "compression": "zlib",  # uploads travel in the message: worker and web share no disk
        }
        try:
            try:
                self._send(message)
            except _NotTaken:
                self._send(message)
        except (_NotTaken, *_AWAY) as error:
            logger.warning("a task was not enqueued: %s", error)
            raise QueueUnavailable("the task queue is not reachable") from error

    def _send(self, message: Mapping[str, Any]) -> None:
        """Send on a connection that lives; one on which anything fails is not used again."""
        with self._celery.producer_pool.acquire(block=True) as producer:
            _prove_alive(producer)
            try:
                self._celery.send_task(**message, producer=producer, retry=False)
            except (OperationalError, ReadOnlyError) as error:
                if isinstance(error, ReadOnlyError) or isinstance(error.__cause__, ReadOnlyError):
                    raise _NotTaken(str(error)) from error
                raise

    def outcome(self, task_id: str) -> Outcome | None:
        """How a task ended by its result backend, None while that says nothing; raise QueueUnavailable."""
        try:
            result = self._celery.AsyncResult(task_id)
            state = result.state
            error = error_text(self._celery, result.result) if state == states.FAILURE else None
        except _AWAY as failure:
            raise QueueUnavailable("the result backend is not reachable") from failure
        status = _STATUS_OF.get(state)
        return Outcome(status, error) if status else None

    def revoke(self, task_id: str) -> None:
        """Have workers skip a task that waits; raise QueueUnavailable."""
        try:
            self._celery.control.revoke(task_id)
        except _AWAY as error:
            raise QueueUnavailable("the task queue is not reachable") from error


def _prove_alive(producer: Any) -> None:
    """Raise _NotTaken for a connection that was cut while it was idle, as hosted Redis does after minutes."""
    if not isinstance(producer.channel, Channel):
        return  # other brokers have heartbeats
    try:
        producer.channel.client.ping()
    except (RedisError, OSError) as error:
        raise _NotTaken(str(error)) from error
