"""Clients of the store, made in one way for everybody."""

from __future__ import annotations

from typing import Any, Final, cast

import redis
from redis.backoff import NoBackoff
from redis.exceptions import MasterDownError, ReadOnlyError
from redis.retry import Retry

from jobcast.ledger.cluster import Cluster, is_cluster
from jobcast.ledger.sentinel import SentinelUrl, is_sentinel

#: Seconds a command may take before the store counts as unavailable.
COMMAND_TIMEOUT: Final = 0.8
#: Connections of one client to the store, and the seconds to wait for one that is free.
CONNECTIONS: Final = 8
CONNECTION_TIMEOUT: Final = 3.0
#: Refusals that are about where a connection leads, not about its command: after a failover a connection
#: stays with the server that was demoted, until somebody lets it go.
WRONG_SERVER: Final = (ReadOnlyError, MasterDownError)


def connect(url: str) -> redis.Redis:
    """A client that gives up within a second and tries a broken connection once more, no longer.

    Back-off belongs to whoever waits: the reporter's thread or the web listener. A thousand clients that come
    back at once share a few connections; each of them one would be slower, and more than a store may allow.
    """
    options: dict[str, Any] = {
        "max_connections": CONNECTIONS,
        "timeout": CONNECTION_TIMEOUT,
        "decode_responses": True,
        "socket_timeout": COMMAND_TIMEOUT,
        "socket_connect_timeout": COMMAND_TIMEOUT,
        "health_check_interval": 0,
    }
    if is_cluster(url):
        return cast(redis.Redis, Cluster(url, **options))
    again = {"retry": Retry(NoBackoff(), 1), "retry_on_error": [*WRONG_SERVER]}
    if is_sentinel(url):
        return SentinelUrl.parse(url).connect(**options, **again)
    return redis.Redis.from_pool(redis.BlockingConnectionPool.from_url(url, **options, **again))
