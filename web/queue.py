"""Work is enqueued by task name: the web process knows the contract, not the work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from web.access import Refused

PUBLISH: Final = "tasks.publishing.publish"
DRAFT: Final = "tasks.publishing.draft"
SYNC: Final = "tasks.analytics_sync.sync"


class Queue:
    """Hands tasks to the broker, once, without waiting for a broker that is away."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery

    def send(self, task: str, task_id: str, kwargs: Mapping[str, Any], meta: Mapping[str, str]) -> None:
        """Enqueue; raise Refused ``unavailable`` when the broker does not take it."""
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
            raise Refused("unavailable", "the task queue is not reachable") from error

    def revoke(self, task_id: str) -> None:
        """Have workers skip a task that waits; raise Refused ``unavailable``."""
        try:
            self._celery.control.revoke(task_id)
        except (OperationalError, RedisError, OSError) as error:
            raise Refused("unavailable", "the task queue is not reachable") from error
