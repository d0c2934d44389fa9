"""A Redis Cluster as one client: which URL means one, when it is connected, and what can go wrong with it.

redis-py's client for a cluster connects when it is made, and raises exceptions that are no ``RedisError`` of
its. Here it is made when it is first needed, in each process anew, and fails like the client of one server.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import ConnectionError, RedisClusterException
from redis.retry import Retry

#: What a URL begins with that names a node of a cluster and stands for all of it.
PREFIX: Final = "cluster+"
#: Times a command is tried again after the slots have moved.
RETRIES: Final = 2

P = ParamSpec("P")
R = TypeVar("R")


def is_cluster(url: str) -> bool:
    return url.startswith(PREFIX)


class Cluster:
    """Has the commands of ``redis.Redis``; ``options`` are those of its connections."""

    def __init__(self, url: str, **options: Any) -> None:
        self._url = url.removeprefix(PREFIX)
        self._options = options
        self._making = threading.Lock()
        self._client: RedisCluster | None = None
        self._owner = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.client, name)
        return _translated(found) if callable(found) else found

    @property
    def client(self) -> RedisCluster:
        """Connected; raises redis' ConnectionError when no node answers."""
        with self._making:
            if self._client is None or self._owner != os.getpid():
                self._client, self._owner = self._connected(), os.getpid()
            return self._client

    def owner(self, channel: str) -> ClusterNode:
        """The primary of a key or a sharded channel, as far as is known; raises redis' ConnectionError."""
        found: ClusterNode = _translated(self.client.get_node_from_key)(channel)
        return found

    def look_again(self) -> None:
        """Ask the nodes who owns what; raises redis' ConnectionError."""
        _translated(self.client.nodes_manager.initialize)()

    def dial(self, node: ClusterNode | None = None) -> Any:
        """A new connection to a node, or to any primary, that is not connected yet."""
        node = node or self.client.get_random_primary_node()
        pool = self.client.get_redis_connection(node).connection_pool
        # Not by the pool, which would remember each for ever.
        return pool.connection_class(**pool.connection_kwargs)

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None and self._owner == os.getpid():
            client.close()

    def _connected(self) -> RedisCluster:
        return _translated(RedisCluster.from_url)(
            self._url,
            require_full_coverage=False,
            retry=Retry(NoBackoff(), RETRIES),
            connection_pool_class=redis.BlockingConnectionPool,
            **self._options,
        )


def _translated(function: Callable[P, R]) -> Callable[P, R]:
    """What a cluster's client raises besides, as an error of one server's client."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except RedisClusterException as error:
            raise ConnectionError(str(error)) from error

    return wrapper
