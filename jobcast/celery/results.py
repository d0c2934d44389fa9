"""Celery's result backend on Redis, patient with a store that refuses writes for a while."""

from __future__ import annotations

from celery.backends.redis import RedisBackend, SentinelBackend
from redis.exceptions import OutOfMemoryError, ReadOnlyError


class PatientRedisBackend(RedisBackend):
    """With ``result_backend_always_retry`` a full or read-only store is waited for like one that is away.

    Otherwise Celery calls a task failed that had succeeded.
    """

    def exception_safe_to_retry(self, exc: Exception) -> bool:
        refused = isinstance(exc, OutOfMemoryError | ReadOnlyError)
        return refused or bool(super().exception_safe_to_retry(exc))


class PatientSentinelBackend(PatientRedisBackend, SentinelBackend):
    """The same behind Sentinel."""
