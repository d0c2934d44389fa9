"""Tokens that were called back before they expired.

They are the members of one sorted set in Redis, ``jobcast:revoked``, scored by when they expire and may be
forgotten. Each web process keeps a copy, read every second or two: no request waits for it, and with
Redis away the last copy stands.
"""

from __future__ import annotations

import logging
import math
import time
from typing import Final

import redis
from redis.exceptions import RedisError

from jobcast.ledger.connection import connect

logger = logging.getLogger(__name__)

KEY: Final = "jobcast:revoked"
#: Seconds between two readings.
READ_EVERY: Final = 2.0


class Revocations:
    """This process's copy; ``in`` asks it."""

    def __init__(self, url: str) -> None:
        self._redis: redis.Redis = connect(url)
        self._known: frozenset[str] = frozenset()
        self._read_at = -math.inf

    def __contains__(self, token_id: object) -> bool:
        if self._read_at == -math.inf:
            self.refresh()
        return token_id in self._known

    def refresh(self) -> frozenset[str]:
        """Read the set if that was a while ago; return what is new in it."""
        now = time.monotonic()
        if now - self._read_at < READ_EVERY:
            return frozenset()
        before, self._known = self._known, self._read()
        self._read_at = now
        return self._known - before

    def _read(self) -> frozenset[str]:
        try:
            found = self._redis.zrangebyscore(KEY, time.time(), "+inf")
        except (RedisError, OSError) as error:
            logger.warning("the list of revoked tokens cannot be read: %s", error)
            return self._known
        return frozenset(str(member) for member in found)


def revoke(client: redis.Redis, token_id: str, until: float = math.inf) -> None:
    """Call a token back; ``until`` is when it expires by itself, in seconds since 1970."""
    with client.pipeline(transaction=True) as pipe:
        pipe.zadd(KEY, {token_id: until})
        pipe.zremrangebyscore(KEY, "-inf", f"({time.time() - 3600}")
        pipe.execute()
